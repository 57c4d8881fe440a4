// The list of instances. The filter is the address; rows change in place, new ones wait behind a pill.

import {get, me} from './api.js';
import {bulkDialog} from './bulk.js';
import {count, plural} from './format.js';
import {useKeys} from './keys.js';
import {html, signal, useEffect, useMemo, useRef} from './lib.js';
import {hold, watch} from './live.js';
import {firstSteps} from './overview.js';
import {go, instanceLink, listLink, route} from './route.js';
import {RowTable} from './rows.js';
import {dialog, Empty, Failure, Icon, Loading, Time} from './ui.js';

/** @typedef {import('./types').Row} Row */

const STATUSES = ['running', 'pending', 'paused', 'failed', 'completed', 'cancelled'];
const WINDOWS = [['1h', 'last hour'], ['24h', 'last day'], ['7 days', 'last 7 days'], ['30 days', 'last 30 days'], ['all', 'all time']];
const FILTERS = ['status', 'label', 'role', 'database', 'code', 'since', 'until', 'id'];
const MOST_WATCHED = 150;

/** What the address filters by. @param {Record<string, string>} query */
export function filterOf(query) {
  /** @type {Record<string, string>} */
  const filter = {};
  for (const key of FILTERS) if (query[key]) filter[key] = query[key];
  return filter;
}

/** What a search means: an id, or a label. @param {string} text @returns {Record<string, string>} */
function searchFor(text) {
  const word = text.trim();
  if (!word) return {};
  if (/^[a-z0-9]{8}$/.test(word)) return {id: word};
  return {label: word.includes('%') ? word : `%${word}%`};
}

/** The list's state, and what is done with it. */
function makeList() {
  const rows = signal(/** @type {Row[]} */ ([]));
  const next = signal(/** @type {string|null} */ (null));
  const span = signal(/** @type {any} */ (null));
  const fresh = signal({count: 0, capped: false});
  const error = signal(/** @type {Error|null} */ (null));
  const loading = signal(true);
  const gone = signal(new Set(/** @type {string[]} */ ([])));
  const current = signal(-1);
  const selected = signal(new Set(/** @type {string[]} */ ([])));
  /** @type {string|null} */
  let newest = null;
  /** @type {Record<string, string>} */
  let filter = {};
  let turn = 0;

  const stream = watch(() => (newest === null && !rows.peek().length ? null : {
    ...filter, ids: rows.peek().slice(0, MOST_WATCHED).map((row) => row.id).join(',') || undefined, newest: newest ?? undefined,
  }), {list: (data) => {
    const byId = new Map(data.rows.map((/** @type {Row} */ row) => [row.id, row]));
    rows.value = rows.value.map((row) => byId.get(row.id) ?? row);
    if (data.gone?.length) gone.value = new Set([...gone.value, ...data.gone]);
    fresh.value = {count: data.new ?? 0, capped: !!data.new_capped};
  }});

  return {
    rows, next, span, fresh, error, loading, gone, current, selected,
    stop: stream.stop,
    /** @param {Record<string, string>} wanted */
    async load(wanted) {
      const mine = ++turn;
      filter = wanted;
      loading.value = true;
      try {
        const page = await get('instances', {...wanted, limit: 50});
        if (mine !== turn) return;
        rows.value = page.rows;
        next.value = page.next;
        newest = page.newest;
        span.value = page.window;
        fresh.value = {count: 0, capped: false};
        gone.value = new Set();
        error.value = null;
        current.value = Math.min(current.value, page.rows.length - 1);
        stream.again();
      } catch (problem) {
        if (mine === turn) error.value = /** @type {Error} */ (problem);
      }
      if (mine === turn) loading.value = false;
    },
    reload() {
      return this.load(filter);
    },
    async more() {
      if (!next.value || loading.value) return;
      const mine = turn;
      loading.value = true;
      try {
        const page = await get('instances', {...filter, limit: 50, cursor: next.value});
        if (mine !== turn) return;
        rows.value = [...rows.value, ...page.rows];
        next.value = page.next;
        stream.again();
      } catch (problem) {
        error.value = /** @type {Error} */ (problem);
      }
      loading.value = false;
    },
    /** @param {string} id @param {boolean} range */
    toggle(id, range) {
      const ids = rows.value.map((row) => row.id);
      const at = ids.indexOf(id);
      const next = new Set(selected.value);
      const from = range && current.value >= 0 ? Math.min(current.value, at) : at;
      const to = range && current.value >= 0 ? Math.max(current.value, at) : at;
      const on = !next.has(id);
      for (let n = from; n <= to; n++) if (on) next.add(ids[n]); else next.delete(ids[n]);
      current.value = at;
      selected.value = next;
    },
    toggleAll() {
      const all = rows.value.every((row) => selected.value.has(row.id));
      selected.value = all ? new Set() : new Set(rows.value.map((row) => row.id));
    },
  };
}

/** @param {{name: string, value: string, query: Record<string, string>}} props */
const Chip = ({name, value, query}) => {
  const rest = {...query};
  delete rest[name];
  return html`<a class="chip on" href=${listLink(rest)} aria-label=${`Remove the filter ${name} ${value}`}>
    <span class="dim">${name}</span> ${value}<${Icon} name="close" /></a>`;
};

/** @param {{query: Record<string, string>}} props */
function Filters({query}) {
  const status = query.status ?? '';
  const {status: _, ...others} = query;
  const narrow = FILTERS.some((name) => query[name] && name !== 'since');
  const extra = FILTERS.filter((name) => query[name] && name !== 'status' && name !== 'since');
  /** @param {Event} event */
  const search = (event) => {
    event.preventDefault();
    const field = /** @type {HTMLInputElement|null} */ (document.getElementById('search'));
    if (!field) return;
    const {id, label, ...rest} = query;
    go(listLink({...rest, ...searchFor(field.value)}));
    field.value = '';
    field.blur();
  };
  return html`<div class="filters">
    <form role="search" onSubmit=${search}><${Icon} name="search" /><input id="search" type="search" name="search" autocomplete="off"
      placeholder="Label or id" aria-label="Search for a label or an id" /><kbd aria-hidden="true">/</kbd></form>
    <nav class="chips" aria-label="Status">
      <a class=${'chip' + (status ? '' : ' on')} href=${listLink(others)} aria-current=${status ? undefined : 'true'}>All</a>
      ${STATUSES.map((name) => html`<a class=${'chip' + (status === name ? ' on' : '')} key=${name} href=${listLink({...query, status: name})}
        aria-current=${status === name ? 'true' : undefined}><${Icon} name=${name} />${name}</a>`)}
    </nav>
    <label class="select"><span class="offscreen">Created in the</span>
      <select value=${query.since ?? ''} onChange=${(/** @type {any} */ event) => go(listLink({...query, since: event.target.value}))}>
        ${query.since && !WINDOWS.some(([key]) => key === query.since) && html`<option value=${query.since}>since ${query.since}</option>`}
        <option value="">${narrow ? 'last 7 days' : 'any time'}</option>
        ${WINDOWS.filter(([key]) => !narrow || key !== '7 days').map(([key, name]) => html`<option value=${key}>${name}</option>`)}</select></label>
    ${me.value && (query.role ? null : html`<a class="chip" href=${listLink({...query, role: 'me'})}>mine</a>`)}
    ${extra.map((name) => html`<${Chip} key=${name} name=${name} value=${query[name]} query=${query} />`)}
  </div>`;
}

export function Instances() {
  const list = useMemo(makeList, []);
  const {query} = route.value;
  const filter = filterOf(query);
  const key = JSON.stringify(filter);
  const end = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => list.stop, []);
  useEffect(() => {
    list.current.value = -1;
    list.selected.value = new Set();
    list.load(filter);
  }, [key]);
  const picked = list.selected.value;
  useEffect(() => (picked.size ? hold() : undefined), [picked.size > 0]);

  /** @param {number} step */
  const move = (step) => {
    const at = Math.max(0, Math.min(list.rows.value.length - 1, list.current.value + step));
    list.current.value = at;
    const id = list.rows.value[at]?.id;
    if (id) document.querySelector(`[data-row="${id}"]`)?.scrollIntoView({block: 'nearest'});
  };
  const openCurrent = () => {
    const row = list.rows.value[list.current.value];
    if (row) go(instanceLink(row.id));
  };
  useKeys({
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: openCurrent, o: openCurrent,
    x: () => {
      const row = list.rows.value[list.current.value];
      if (row) list.toggle(row.id, false);
    },
    n: () => list.reload(),
    Escape: () => {
      list.selected.value = new Set();
    },
  });
  /** @param {'selection'|'filter'} scope */
  const bulk = (scope) => {
    dialog.value = bulkDialog(scope === 'filter' ? {filter} : {rows: list.rows.value.filter((row) => picked.has(row.id))}, () => {
      list.selected.value = new Set();
      list.reload();
    });
  };
  const {rows, span, fresh, error, loading} = list;
  const filtered = Object.keys(filter).some((name) => name !== 'since');
  return html`<section class="screen">
    <header class="screen-head"><h1>Instances</h1>
      <div class="head-tools">
      <button type="button" disabled=${!rows.value.length || me.value?.read_only} onClick=${() => bulk('filter')}>Act on all…</button></div></header>
    <${Filters} query=${query} />
    ${error.value && html`<${Failure} error=${error.value} />`}
    <div class="list-line" aria-live="polite">
      ${picked.size ? html`<span><b>${plural(picked.size, 'instance')}</b> selected</span>
        <button type="button" onClick=${() => bulk('selection')} disabled=${me.value?.read_only}>Act on these…</button>
        <button type="button" class="quiet" onClick=${() => { list.selected.value = new Set(); }}>Clear</button>
        <span class="dim">The list holds still meanwhile.</span>`
      : fresh.value.count ? html`<button type="button" class="pill" onClick=${() => list.reload()}>${count(fresh.value.count)}${fresh.value.capped ? '+' : ''} new</button>`
      : html`<span class="dim">${span.value?.since ? html`created since <${Time} at=${span.value.since} />` : 'newest first'}${
          span.value?.default && filtered ? html` · <a href=${listLink({...query, since: 'all'})}>search everything</a>` : ''}</span>`}
    </div>
    ${!rows.value.length && loading.value ? html`<${Loading} />` : null}
    ${!rows.value.length && !loading.value && !error.value ? filtered || query.since
      ? html`<${Empty} icon="search" title="No instance fits this filter"><p>${span.value?.default
          ? html`Only the last 7 days were searched. <a href=${listLink({...query, since: 'all'})}>Search everything</a>`
          : html`<a href=${listLink()}>Remove the filter</a>`}</p><//>`
      : firstSteps() : null}
    ${rows.value.length > 0 && html`<${RowTable} rows=${rows.value} current=${list.current.value} selected=${picked} gone=${list.gone.value}
      toggle=${list.toggle} toggleAll=${list.toggleAll} caption="Instances, newest first" />
      <div class="more-line" ref=${end}>${list.next.value
        ? html`<button type="button" disabled=${loading.value} onClick=${() => list.more()}>Show 50 more</button>`
        : html`<span class="dim">${plural(rows.value.length, 'instance')}, that is all</span>`}</div>`}
  </section>`;
}
