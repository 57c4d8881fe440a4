// One instance: what it does and why it is where it is, live until it has ended.

import {actionDialog, signalDialog} from './actions.js';
import {get, instancePath, me, payloadLink} from './api.js';
import {plural} from './format.js';
import {Graph} from './graph.js';
import {History} from './history.js';
import {Reruns, Signals, TextAndVars} from './instance_texts.js';
import {useKeys} from './keys.js';
import {html, signal, useEffect, useMemo} from './lib.js';
import {watch} from './live.js';
import {NodePanel} from './panel.js';
import {go, instanceLink, labelLink, route, TABS} from './route.js';
import {Progress, WhyLine} from './rows.js';
import {firstFailure, nodeStates} from './states.js';
import {Timeline} from './timeline.js';
import {buildTree} from './tree.js';
import {Badge, Copy, dialog, Empty, Failure, Icon, Loading, shownStatus, showTitle, Tabs, Text, Time, Took} from './ui.js';

/** @typedef {import('./types').InstanceDetail} Detail */
/** @typedef {import('./types').Event} HistoryEvent */

const KEPT_EVENTS = 2000; // that came while one watches
const RETRY_MS = 2000;

/** All that is known of an instance. @param {string} id */
export function makeInstance(id) {
  const detail = signal(/** @type {Detail|null} */ (null));
  const error = signal(/** @type {any} */ (null));
  const nodes = signal(/** @type {import('./types').TreeNode[]|null} */ (null));
  const warnings = signal(/** @type {string[]} */ ([]));
  const graphKnown = signal(false);
  /** What came while one watches, in order. */
  const news = signal(/** @type {HistoryEvent[]} */ ([]));
  let final = false;
  let stopped = false;
  let timer = 0;
  let graphSize = -1;

  async function loadGraph() {
    if (final) return;
    const graph = await get(instancePath(id, '/graph'));
    final = graph.final;
    warnings.value = graph.warnings ?? [];
    // Text that no daemon has parsed yet has no nodes.
    const known = graph.nodes?.[0]?.type ? graph.nodes : null;
    if (known && (known.length !== graphSize || final)) {
      graphSize = known.length;
      nodes.value = buildTree(known);
    }
    graphKnown.value = true;
  }

  async function load() {
    try {
      detail.value = await get(instancePath(id));
      error.value = null;
      await loadGraph();
    } catch (problem) {
      error.value = problem;
    }
  }

  const unfinished = () => !detail.peek() || !['completed', 'failed', 'cancelled'].includes(detail.peek()?.instance.status ?? '');
  const stream = watch(() => (detail.peek() && unfinished() ? {instance: id, after: detail.peek()?.last_seq} : null), {
    instance: (data) => {
      const known = detail.value;
      if (!known) return;
      const came = (data.events ?? []).filter((/** @type {HistoryEvent} */ e) => e.seq > known.last_seq);
      detail.value = {...known, ...data, last_seq: Math.max(known.last_seq, data.last_seq), events: undefined};
      if (came.length) news.value = [...news.value, ...came].slice(-KEPT_EVENTS);
      if (!final) loadGraph().catch(() => {});
      if (!unfinished()) load();
    },
    end: () => load(),
  });

  return {
    id, detail, error, nodes, warnings, graphKnown, news,
    /** Loads it and watches it; also after an action. What did not come in time is asked for again. */
    async start() {
      clearTimeout(timer);
      await load();
      if (stopped) return;
      if (error.peek() && ![401, 403, 404].includes(error.peek().status)) timer = setTimeout(() => this.start(), RETRY_MS);
      else stream.again();
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      stream.stop();
    },
  };
}

/** @param {{store: ReturnType<typeof makeInstance>}} props */
function Actions({store}) {
  const d = store.detail.value;
  if (!d) return null;
  const target = {id: store.id, label: d.instance.label, status: d.instance.status};
  /** @param {string} action */
  const act = (action) => {
    dialog.value = action === 'signal'
      ? signalDialog({...target, name: d.waits.find((wait) => wait.kind === 'signal')?.name ?? ''}, () => store.start())
      : actionDialog(action, target, {after: () => store.start()});
  };
  const ended = ['completed', 'failed', 'cancelled'].includes(d.instance.status);
  const shown = ended ? ['rerun'] : d.instance.status === 'paused' ? ['resume', 'signal', 'cancel', 'rerun'] : ['signal', 'pause', 'cancel', 'rerun'];
  /** @type {Record<string, string>} */
  const names = {signal: 'Signal…', pause: 'Pause…', resume: 'Resume…', cancel: 'Cancel…', rerun: 'Run again…'};
  return html`<div class="head-tools">${shown.map((action) => {
    const problem = me.value?.read_only ? 'this page is read only' : d.can[action];
    return html`<button type="button" key=${action} class=${action === 'cancel' ? 'danger-quiet' : action === 'resume' ? 'primary' : ''} aria-disabled=${!!problem}
      title=${problem ?? undefined} onClick=${() => !problem && act(action)}>${names[action]}${problem && html`<span class="offscreen">: ${problem}</span>`}</button>`;
  })}</div>`;
}

/** @param {{store: ReturnType<typeof makeInstance>}} props */
function Head({store}) {
  const d = store.detail.value;
  if (!d) return null;
  const {instance: row} = d;
  return html`<header class="screen-head instance-head">
    <div class="head-line"><h1>${row.label ? html`<a href=${labelLink(row.label)} title="All runs of this label">${row.label}</a>` : html`<span class="dim">no label</span>`}</h1>
      <span class="id-line"><code>${row.id}</code><${Copy} text=${row.id} label="Copy the id" /><${Copy} text=${location.href} label="Copy a link to this view">link<//></span></div>
    <${Actions} store=${store} />
    <p class=${'why-line s-' + shownStatus(row)} role="status"><${Badge} status=${shownStatus(row)} /><${WhyLine} why=${d.why} status=${row.status} />
      ${d.reason && d.why?.kind !== 'cancelled' && html`<span class="dim">reason: ${d.reason}</span>`}</p>
    <dl class="strip-facts">
      <div><dt>Steps</dt><dd><${Progress} row=${row} /></dd></div>
      <div><dt>Duration</dt><dd><${Took} from=${row.started_at} to=${row.completed_at} ms=${row.duration_ms} /></dd></div>
      <div><dt>Created</dt><dd><${Time} at=${row.created_at} /></dd></div>
      ${row.completed_at && html`<div><dt>Ended</dt><dd><${Time} at=${row.completed_at} /></dd></div>`}
      <div><dt>Role</dt><dd>${row.role ?? 'dropped'}</dd></div>
      <div><dt>Database</dt><dd>${row.database}</dd></div>
      ${row.priority !== 0 && html`<div><dt>Priority</dt><dd>${row.priority}</dd></div>`}
      ${d.idempotency_key && html`<div><dt>Idempotency key</dt><dd><code>${d.idempotency_key}</code></dd></div>`}
      ${d.rerun_of && html`<div><dt>Runs again</dt><dd><a href=${instanceLink(d.rerun_of.id ?? d.rerun_of)}>${d.rerun_of.id ?? d.rerun_of}</a></dd></div>`}
    </dl></header>`;
}

/** What came of it, below the graph. @param {{detail: Detail}} props */
function Outcome({detail}) {
  const {instance: row, error_parts: e} = detail;
  if (row.status === 'completed') {
    return html`<section class="panel"><h2>Result</h2><${Text} piece=${detail.result} json label="the result" empty="The workflow has no result."
      download=${payloadLink(row.id, {part: 'result'})} /></section>`;
  }
  if (!e) return null;
  return html`<section class="panel"><h2>${row.status === 'cancelled' ? 'Cancelled' : 'Error'} ${e.sqlstate && html`<code>${e.sqlstate}</code>`}
      ${e.node && html`<a class="more-link" href=${instanceLink(row.id, route.value.tab, e.node)}>the step that failed</a>`}</h2>
    <p class=${row.status === 'cancelled' ? '' : 'bad'}>${e.message}</p>${e.detail && html`<p>${e.detail}</p>`}${e.hint && html`<p class="dim">${e.hint}</p>`}
    <${Text} piece=${detail.error} json label="the error" download=${payloadLink(row.id, {part: 'error'})} /></section>`;
}

/** @param {{id: string}} props */
export function Instance({id}) {
  const store = useMemo(() => makeInstance(id), [id]);
  useEffect(() => {
    store.start();
    return store.stop;
  }, [id]);
  const {tab = 'graph', node} = route.value;
  const nodes = store.nodes.value;
  const detail = store.detail.value;
  const state = useMemo(() => (nodes && detail ? nodeStates(nodes, detail.states, detail.waits) : []), [nodes, detail]);
  const title = detail?.instance.label ?? id;
  const status = detail ? shownStatus(detail.instance) : '';
  useEffect(() => showTitle(title, status), [title, status]);
  /** @type {Record<string, () => void>} */
  const keys = {
    f: () => {
      const failed = nodes ? firstFailure(nodes, state) : -1;
      if (nodes && failed >= 0) go(instanceLink(id, tab, nodes[failed].id));
    },
    Escape: () => go(instanceLink(id, tab)),
  };
  TABS.forEach((name, n) => {
    keys[String(n + 1)] = () => go(instanceLink(id, name, node));
  });
  useKeys(keys);
  if (store.error.value && !detail) {
    return html`<section class="screen">${store.error.value.status === 404
      ? html`<h1>${id}</h1><${Empty} icon="search" title="No such instance"><p>There is no instance <code>${id}</code> that your role may see.</p><p><a href="#/instances">See the instances</a></p><//>`
      : html`<${Failure} error=${store.error.value} />`}</section>`;
  }
  if (!detail) return html`<${Loading} />`;
  const selected = nodes && node ? nodes.findIndex((n) => n.id === node) : -1;
  const panel = nodes && selected >= 0;
  return html`<section class=${'screen instance' + (panel ? ' with-panel' : '')}>
    <${Head} store=${store} />
    <${Tabs} label="Views of the instance" current=${tab} link=${(/** @type {string} */ t) => instanceLink(id, t, node)}
      tabs=${[['graph', 'Graph'], ['timeline', 'Timeline'], ['history', 'History'], ['text', 'Text and variables'], ['signals', 'Signals'], ['reruns', 'Reruns']]} />
    <div class="body"><div class="view">
      ${store.warnings.value.length > 0 && tab === 'graph' && html`<details class="note warnings"><summary><${Icon} name="late" /> ${plural(store.warnings.value.length, 'warning')} about the text</summary>
        ${store.warnings.value.map((w) => html`<pre>${w}</pre>`)}</details>`}
      ${tab === 'graph' && (nodes ? html`<${Graph} nodes=${nodes} state=${state} detail=${detail} selected=${selected} />`
        : store.graphKnown.value ? html`<${Empty} icon="pending" title="No daemon has read this workflow yet"><p>Its graph appears once one begins it.</p><//>` : html`<${Loading} />`)}
      ${tab === 'graph' && html`<${Outcome} detail=${detail} />`}
      ${tab === 'timeline' && html`<${Timeline} store=${store} state=${state} />`}
      ${tab === 'history' && html`<${History} store=${store} node=${selected >= 0 ? node : undefined} />`}
      ${tab === 'text' && html`<${TextAndVars} id=${id} />`}
      ${tab === 'signals' && html`<${Signals} store=${store} />`}
      ${tab === 'reruns' && html`<${Reruns} id=${id} />`}
    </div>
    ${panel && html`<${NodePanel} key=${node} store=${store} nodes=${nodes} i=${selected} state=${state} tab=${tab} />`}</div>
  </section>`;
}
