// What waits for whom: signals, which may be sent here, and timers, schedules, retries and logins.

import {signalDialog} from './actions.js';
import {plural} from './format.js';
import {useKeys} from './keys.js';
import {html, signal, useMemo} from './lib.js';
import {go, instanceLink, route} from './route.js';
import {Ago, dialog, Empty, Icon, useAnswer} from './ui.js';

/** @typedef {import('./types').Wait} Wait */

const WAIT_KINDS = [['', 'Everything'], ['signal', 'Signals'], ['retry', 'Retries'], ['timer', 'Timers'], ['schedule', 'Schedules'], ['limit', 'Limits'], ['login', 'Logins']];
/** @type {Record<string, string>} */
const VERBS = {signal: 'for the signal', retry: 'to try again', timer: 'for a time', schedule: 'for the schedule', limit: 'for the limit', login: 'for a login'};

/** @param {Wait} wait */
const keyOf = (wait) => `${wait.instance} ${wait.node} ${wait.kind} ${wait.since}`;

/** @param {{waits: Wait[], caption: string, current?: number, after?: () => void}} props */
export function WaitTable({waits, caption, current, after}) {
  /** @param {Wait} wait */
  const approve = (wait) => {
    dialog.value = signalDialog({id: wait.instance, label: wait.label, name: wait.name ?? ''}, after);
  };
  return html`<table class="rows waits"><caption class="offscreen">${caption}</caption>
    <thead><tr><th>Instance</th><th class="wide">Waits</th><th>Since</th><th>Until</th><th><span class="offscreen">Action</span></th></tr></thead>
    <tbody>${waits.map((wait, n) => html`<tr key=${keyOf(wait)} class=${`${n === current ? 'current ' : ''}${wait.late ? 'late' : ''}`} data-row=${n}>
      <td class="c-what"><a class="main" href=${instanceLink(wait.instance, 'graph', wait.node ?? undefined)}>${wait.label ?? html`<span class="dim">no label</span>`}</a>
        <span class="id">${wait.instance}</span></td>
      <td class="c-why wide">${wait.late && html`<${Icon} name="late" label="late" />`}<span class="dim">${VERBS[wait.kind] ?? wait.kind}</span> ${
        wait.name && html`<code>${wait.name}</code>`}${wait.kind === 'retry' && html` <span class="bad">${wait.error}</span>${
        wait.attempt ? html` <span class="dim">after attempt ${wait.attempt}</span>` : ''}`}</td>
      <td class="c-created"><${Ago} at=${wait.since} /></td>
      <td class="c-until">${wait.until ? html`<${Ago} at=${wait.until} until />` : html`<span class="dim">no limit</span>`}</td>
      <td class="c-act">${wait.kind === 'signal' && html`<button type="button" class="primary small" disabled=${!wait.may_signal} onClick=${() => approve(wait)}
        aria-label=${`Send the signal ${wait.name} to ${wait.label ?? wait.instance}`}
        title=${wait.may_signal ? undefined : 'Only its owner, and roles that the owner named, may send it'}>Send…</button>`}</td></tr>`)}</tbody></table>`;
}

export function Waiting() {
  const kind = route.value.query.kind ?? '';
  const {data, status, load} = useAnswer('waiting', 4000, {kind});
  const current = useMemo(() => signal(-1), []);
  const waits = /** @type {Wait[]} */ (data?.waits ?? []);
  useKeys({
    j: () => { current.value = Math.min(waits.length - 1, current.value + 1); },
    k: () => { current.value = Math.max(0, current.value - 1); },
    Enter: () => {
      const wait = waits[current.value];
      if (wait) go(instanceLink(wait.instance, 'graph', wait.node ?? undefined));
    },
  });
  const late = waits.filter((wait) => wait.late).length;
  return html`<section class="screen"><header class="screen-head"><h1>Waiting</h1></header>
    <nav class="chips filters" aria-label="What is waited for">${WAIT_KINDS.map(([key, name]) =>
      html`<a key=${key} class=${'chip' + (key === kind ? ' on' : '')} href=${'#/waiting' + (key ? '?kind=' + key : '')}
        aria-current=${key === kind ? 'true' : undefined}>${name}</a>`)}</nav>
    ${status}${data && html`<p class="list-line dim">${plural(waits.length, 'wait')}${data.more ? ' at least' : ''}${late ? `, ${late} of them late` : ''}</p>`}
    ${data && !waits.length && html`<${Empty} icon="waiting" title="Nothing waits">
      <p>An instance that waits for a signal, a time or another attempt is listed here, the late ones first.</p><//>`}
    ${waits.length > 0 && html`<${WaitTable} waits=${waits} caption="Waits, the late ones first" current=${current.value} after=${load} />`}
  </section>`;
}
