// The events of an instance, the newest first, loaded from the end.

import {get, instancePath, payloadLink} from './api.js';
import {count, cut, duration} from './format.js';
import {html, signal, useEffect, useMemo} from './lib.js';
import {instanceLink} from './route.js';
import {describe} from './tree.js';
import {closeDialog, dialog, Dialog, Empty, Failure, Icon, Loading, Text, Time, useAnswer} from './ui.js';
import {VirtualList} from './virtual.js';

/** @typedef {import('./types').Event} HistoryEvent */

const PAGE = 500;
const EVENT_HEIGHT = 32;

/** @type {[string, string, string[]][]} */
const GROUPS = [
  ['all', 'Everything', []],
  ['failures', 'Failures', ['StepFailed', 'InstanceFailed', 'InstanceCancelled', 'InstanceParked']],
  ['steps', 'Steps', ['StepStarted', 'StepCompleted', 'StepFailed']],
  ['waits', 'Waits', ['TimerStarted', 'TimerFired', 'SignalAwaited', 'SignalReceived']],
  ['loops', 'Iterations', ['IterationCompleted']],
];

/** @type {Record<string, string>} */
const SHAPES = {
  StepCompleted: 'completed', InstanceCompleted: 'completed', StepFailed: 'failed', InstanceFailed: 'failed', InstanceParked: 'failed',
  InstanceCancelled: 'cancelled', StepStarted: 'running', InstanceStarted: 'running', TimerStarted: 'waiting', SignalAwaited: 'waiting',
  TimerFired: 'check', SignalReceived: 'check', IterationCompleted: 'check',
};

/** 'StepCompleted' as 'Step completed'. @param {string} kind */
export const words = (kind) => kind.replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`);

/** @param {{id: string, event: HistoryEvent}} props */
function EventDialog({id, event}) {
  const {data, status} = useAnswer(instancePath(id, `/history/${event.seq}`), 0);
  const e = data?.event ?? event;
  return html`<${Dialog} title=${words(e.kind)} close=${closeDialog} wide>
    <dl class="strip-facts"><div><dt>Event</dt><dd>${e.seq}</dd></div><div><dt>At</dt><dd><${Time} at=${e.at} /></dd></div>
      ${e.node && html`<div><dt>Node</dt><dd><a href=${instanceLink(id, 'graph', e.node)} onClick=${closeDialog}>${e.node}</a></dd></div>`}
      ${e.scope && html`<div><dt>Iteration or row</dt><dd>${e.scope}</dd></div>`}${e.attempt && html`<div><dt>Attempt</dt><dd>${e.attempt}</dd></div>`}</dl>
    ${data ? '' : status}<${Text} piece=${e.data} json label="the data" empty="This event has no data." download=${payloadLink(id, {part: 'event', seq: e.seq})} /><//>`;
}

/** @param {{store: ReturnType<import('./instance.js').makeInstance>, node?: string}} props */
export function History({store, node}) {
  const view = useMemo(() => ({
    group: signal('all'), events: signal(/** @type {HistoryEvent[]} newest first */ ([])), more: signal(true), error: signal(/** @type {any} */ (null)),
    came: signal(0),
  }), [store, node]);
  const state = useMemo(() => ({busy: false, turn: 0}), [view]);
  const kinds = GROUPS.find(([key]) => key === view.group.value)?.[2] ?? [];

  const load = async () => {
    if (state.busy || !view.more.value) return;
    state.busy = true;
    const mine = state.turn;
    const last = view.events.value[view.events.value.length - 1];
    try {
      const page = await get(instancePath(store.id, '/history'), {limit: PAGE, before: last?.seq, kinds: kinds.join(','), node});
      if (mine !== state.turn) return;
      view.events.value = [...view.events.value, ...page.events.reverse()];
      view.more.value = page.more_before;
      view.error.value = null;
    } catch (problem) {
      view.error.value = problem;
    } finally {
      if (mine === state.turn) state.busy = false;
    }
  };
  useEffect(() => {
    state.turn++;
    state.busy = false;
    view.events.value = [];
    view.more.value = true;
    view.came.value = 0;
    load();
  }, [view, view.group.value]);
  const news = store.news.value;
  useEffect(() => {
    const first = view.events.peek()[0]?.seq ?? 0;
    if (!first) return;
    const fits = news.filter((e) => e.seq > first && (!kinds.length || kinds.includes(e.kind)) && (!node || e.node === node));
    if (!fits.length) return;
    view.came.value += fits.length;
    view.events.value = [...fits.reverse(), ...view.events.peek()];
  }, [news]);

  const events = view.events.value;
  const nodes = store.nodes.value;
  const byId = useMemo(() => new Map((nodes ?? []).map((n) => [n.id, n])), [nodes]);
  const head = html`<div class="ev ev-head" role="row"><span role="columnheader">Seq</span><span role="columnheader">At</span><span role="columnheader">Event</span><span role="columnheader">Step</span>
    <span role="columnheader" class="num">Took</span><span role="columnheader">Data</span></div>`;
  return html`<div class="history">
    <div class="filters chips" role="group" aria-label="Which events">${GROUPS.map(([key, name]) => html`<button type="button" key=${key} class=${'chip' + (key === view.group.value ? ' on' : '')}
      aria-pressed=${key === view.group.value} onClick=${() => { view.group.value = key; }}>${name}</button>`)}
      ${node && html`<a class="chip on" href=${instanceLink(store.id, 'history')}><span class="dim">node</span> ${node}<${Icon} name="close" /></a>`}</div>
    ${view.error.value && html`<${Failure} error=${view.error.value} />`}
    ${!events.length && view.more.value && !view.error.value ? html`<${Loading} />` : null}
    ${!events.length && !view.more.value && html`<${Empty} icon="waiting" title="No such event yet" />`}
    ${events.length > 0 && html`<${VirtualList} count=${events.length} height=${EVENT_HEIGHT} label="Events, newest first" near=${load} keep=${view.came.value} role="rowgroup" head=${head}
      row=${(/** @type {number} */ n) => {
        const e = events[n];
        const where = e.node ? byId.get(e.node) : undefined;
        const what = where ? describe(where) : null;
        return html`<div key=${e.seq} role="row" class=${'ev' + (SHAPES[e.kind] === 'failed' ? ' bad-row' : '')} onClick=${() => { dialog.value = html`<${EventDialog} id=${store.id} event=${e} />`; }}>
          <span role="cell" class="num dim">${e.seq}</span><span role="cell"><${Time} at=${e.at} /></span>
          <span role="cell" class="ev-kind"><button type="button" class="link"><${Icon} name=${SHAPES[e.kind] ?? 'pending'} />${words(e.kind)}</button>${e.attempt && e.attempt > 1 ? html` <span class="dim">×${e.attempt}</span>` : ''}</span>
          <span role="cell" class="cut">${e.scope && html`<span class="scope">${e.scope}</span>`}${what ? (what.kind === 'SQL' ? what.text : `${what.kind} ${what.text}`) : ''}</span>
          <span role="cell" class="num">${e.started_at ? duration(Date.parse(e.at) - Date.parse(e.started_at)) : ''}</span>
          <span role="cell" class="cut mono dim">${e.data ? cut(e.data.text, 200) : ''}</span></div>`;
      }} /><p class="dim list-line">${count(events.length)} events${view.more.value ? ', more are loaded as you scroll' : ', that is all'}</p>`}</div>`;
}
