// When each step waited and when it ran, on one scale.

import {get, instancePath} from './api.js';
import {count, duration, moment} from './format.js';
import {html, signal, useEffect, useMemo} from './lib.js';
import {now, skew, zone} from './prefs.js';
import {instanceLink} from './route.js';
import {spansOf, totals} from './spans.js';
import {describe} from './tree.js';
import {Empty, Icon, Loading} from './ui.js';
import {VirtualList} from './virtual.js';

const EVENTS_AT_ONCE = 500;
const MOST = 4000; // events that are looked at, from the end
const BAR_HEIGHT = 30;

/** @type {Record<string, string>} */
const SEGMENTS = {queue: 'waits for a worker or a connection', run: 'runs', failed: 'failed attempt', timer: 'waits for a time', signal: 'waits for a signal', backoff: 'waits before the next attempt'};

/** @param {{store: ReturnType<import('./instance.js').makeInstance>, state: string[]}} props */
export function Timeline({store, state}) {
  const loaded = useMemo(() => signal(/** @type {import('./types').Event[]|null} */ (null)), [store]);
  const cut = useMemo(() => signal(false), [store]);
  useEffect(() => {
    let current = true;
    (async () => {
      /** @type {import('./types').Event[]} */
      let events = [];
      let before;
      for (;;) {
        const page = await get(instancePath(store.id, '/history'), {limit: EVENTS_AT_ONCE, before});
        if (!current) return;
        events = [...page.events, ...events];
        loaded.value = events;
        cut.value = page.more_before;
        if (!page.more_before || events.length >= MOST) break;
        before = events[0].seq;
      }
    })().catch(() => {});
    return () => { current = false; };
  }, [store]);
  const nodes = store.nodes.value;
  const row = store.detail.value?.instance;
  const old = loaded.value;
  const news = store.news.value;
  const spans = useMemo(() => {
    if (!nodes || !row || !old) return null;
    const last = old.length ? old[old.length - 1].seq : 0;
    return spansOf(nodes, [...old, ...news.filter((e) => e.seq > last)], row.created_at);
  }, [nodes, old, news, row?.created_at]);
  if (!spans || !row) return html`<${Loading} />`;
  if (!spans.length) return html`<${Empty} icon="waiting" title="No step has begun yet"><p>A bar for each step appears here, with the time that it waited and the time that it ran.</p><//>`;
  const present = now.value + skew.value;
  const start = Math.min(...spans.map((s) => s.segments[0].from));
  const end = row.completed_at ? Math.max(Date.parse(row.completed_at), start + 1)
    : Math.max(present, ...spans.map((s) => s.segments[s.segments.length - 1].to ?? 0), start + 1000);
  const width = end - start;
  /** @param {number} t */
  const percent = (t) => `${Math.max(0, Math.min(100, ((t - start) / width) * 100))}%`;
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  const head = html`<div class="tl-row tl-head" aria-hidden="true"><span class="tl-name dim">${moment(new Date(start).toISOString(), zone.value, present)}</span>
    <span class="tl-bars">${ticks.map((t) => html`<i class="tick" style=${{left: `${t * 100}%`}}><span>${t ? '+' + duration(width * t) : '0'}</span></i>`)}</span><span class="tl-took" /></div>`;
  return html`<div class="timeline">
    <div class="legend">${Object.entries(SEGMENTS).map(([kind, name]) => html`<span key=${kind}><i class=${'seg k-' + kind} />${name}</span>`)}</div>
    ${cut.value && html`<p class="dim">Made of the last ${count(old?.length ?? 0)} events.</p>`}
    <${VirtualList} count=${spans.length} height=${BAR_HEIGHT} label="Timeline of the steps" head=${head} row=${(/** @type {number} */ n) => {
      const span = spans[n];
      const {kind, text} = describe(span.node);
      const {ran, waited} = totals(span, present);
      const words = `${kind} ${text}${span.scope ? ` [${span.scope}]` : ''}: ran ${duration(ran)}, waited ${duration(waited)}`;
      return html`<div key=${span.key} role="listitem"><a class="tl-row" href=${instanceLink(store.id, 'timeline', span.node.id)} title=${words}>
        <span class="tl-name"><${Icon} name=${span.scope ? span.segments[span.segments.length - 1].kind === 'failed' ? 'failed' : span.segments[span.segments.length - 1].to ? 'completed' : 'running' : state[span.node.i]} />
          ${span.scope && html`<span class="scope">${span.scope}</span>`}<span class="cut">${kind === 'SQL' ? text : `${kind} ${text}`}</span></span>
        <span class="tl-bars">${span.segments.map((seg) => html`<i class=${'seg k-' + seg.kind + (seg.to === null && !row.completed_at ? ' open' : '')}
          style=${{left: percent(seg.from), width: `max(2px, ${((Math.min(seg.to ?? end, end) - seg.from) / width) * 100}%)`}} title=${`${SEGMENTS[seg.kind]}: ${duration((seg.to ?? end) - seg.from)}`} />`)}</span>
        <span class="tl-took num">${duration(ran || waited)}</span></a></div>`;
    }} /></div>`;
}
