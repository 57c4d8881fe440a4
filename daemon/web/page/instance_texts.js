// An instance's text, input and variables, its signals, and its reruns.

import {signalDialog} from './actions.js';
import {instancePath, me, payloadLink} from './api.js';
import {html} from './lib.js';
import {instanceLink} from './route.js';
import {Ago, Badge, dialog, Empty, Text, useAnswer} from './ui.js';

/** @param {{id: string}} props */
export function TextAndVars({id}) {
  const {data, status} = useAnswer(instancePath(id, '/text'), 0);
  if (!data) return status;
  return html`<section class="panel"><h2>The workflow as it was submitted</h2><${Text} piece=${data.text} label="the workflow" download=${payloadLink(id, {part: 'text'})} /></section>
    ${data.input && html`<section class="panel"><h2>Input</h2><${Text} piece=${data.input} json label="the input" download=${payloadLink(id, {part: 'input'})} /></section>`}
    <section class="panel"><h2>Variables</h2>${data.vars.length ? html`<dl class="facts">${data.vars.map((/** @type {any} */ v) => html`<div key=${v.name}><dt><code>${v.name}</code></dt>
      <dd class="mono">${v.value.text}${v.value.cut ? '…' : ''}</dd></div>`)}</dl>${data.vars_more && html`<p class="dim">These are the first ${data.vars.length}. <a href=${payloadLink(id, {part: 'vars'})} download>Download all</a></p>`}`
      : html`<p class="dim">None. A <code>{name}</code> in a workflow is replaced by the variable of that name, set with <code>df.setvar</code>.</p>`}</section>`;
}

/** @param {{store: ReturnType<import('./instance.js').makeInstance>}} props */
export function Signals({store}) {
  const {data, status, load} = useAnswer(instancePath(store.id, '/signals'), 4000);
  const d = store.detail.value;
  if (!data || !d) return status;
  const waits = d.waits.filter((wait) => wait.kind === 'signal');
  const problem = me.value?.read_only ? 'this page is read only' : d.can.signal;
  /** @param {string} name */
  const send = (name) => {
    if (problem) return;
    dialog.value = signalDialog({id: store.id, label: d.instance.label, name}, () => {
      load();
      store.start();
    });
  };
  return html`${waits.length > 0 && html`<section class="panel"><h2>It waits for</h2><ul class="plain-list">${waits.map((wait) => html`<li><code>${wait.name}</code>
      <span class="dim">since <${Ago} at=${wait.since} />${wait.until && html`, until <${Ago} at=${wait.until} until />`}</span>
      <button type="button" class="primary small" aria-disabled=${!!problem} title=${problem ?? undefined} onClick=${() => send(wait.name ?? '')}>Send…</button></li>`)}</ul></section>`}
    <section class="panel"><h2>Signals that were sent <button type="button" class="more-link" aria-disabled=${!!problem} title=${problem ?? undefined} onClick=${() => send('')}>Send a signal…</button></h2>
    ${data.signals.length ? html`<ul class="signals">${data.signals.map((/** @type {any} */ s) => html`<li key=${s.id}><p><b><code>${s.name}</code></b> <span class="dim">by</span> ${s.sent_by ?? 'a dropped role'}
        <${Ago} at=${s.sent_at} /> · ${s.taken_at ? html`<span class="dim">taken <${Ago} at=${s.taken_at} /></span>` : html`<${Badge} status="pending" word="not taken" />`}</p>
        <${Text} piece=${s.data} json label=${`the data of signal ${s.id}`} download=${payloadLink(store.id, {part: 'signal', signal: s.id})} /></li>`)}</ul>`
    : html`<${Empty} icon="waiting" title="No signal was sent"><p>A step <code>df.wait_for_signal('name')</code> waits until one comes. A signal that comes early is kept.</p><//>`}
    ${data.more && html`<p class="dim">These are the last ${data.signals.length}.</p>`}</section>`;
}

/** @param {{run: any}} props */
const Rerun = ({run}) => html`<tr><td class="c-what"><a class="main" href=${instanceLink(run.id)}>${run.id}</a></td><td>${run.status && html`<${Badge} status=${run.status} />`}</td>
  <td>${run.from_node ? html`from <code>${run.from_node}</code>` : 'from the start'}</td><td>${run.requested_by ?? ''}</td><td><${Ago} at=${run.requested_at} /></td></tr>`;

/** @param {{id: string}} props */
export function Reruns({id}) {
  const {data, status} = useAnswer(instancePath(id, '/reruns'), 5000);
  if (!data) return status;
  const head = html`<thead><tr><th>Instance</th><th>Status</th><th>Begins</th><th>Asked by</th><th>When</th></tr></thead>`;
  return html`${data.of && html`<section class="panel"><h2>This instance runs another again</h2><table class="plain"><caption class="offscreen">The instance it runs again</caption>${head}<tbody><${Rerun} run=${data.of} /></tbody></table></section>`}
    <section class="panel"><h2>Reruns</h2>${data.reruns.length ? html`<table class="plain"><caption class="offscreen">Reruns of this instance</caption>${head}<tbody>${data.reruns.map((/** @type {any} */ run) => html`<${Rerun} key=${run.id} run=${run} />`)}</tbody></table>`
    : html`<${Empty} icon="instances" title="It has not been run again"><p>Use <em>Run again</em> above, or open a step of the graph and run again from there: the results before it are kept.</p><//>`}</section>`;
}
