// Small parts that every screen is made of.

import {get} from './api.js';
import {bytes, clock, coarse, duration, indentJson, moment, zoneName} from './format.js';
import {html, signal, useEffect, useLayoutEffect, useMemo, useRef, useState} from './lib.js';
import {every, hold} from './live.js';
import {now, skew, zone} from './prefs.js';

/** @typedef {import('./types').Piece} Piece */
/** @typedef {any} Children */

// ------------------------------------------------------------------------------------------------------------- icons

/** Shapes in a square of 16, filled (F) or drawn (S). @type {Record<string, [string, string][]>} */
const ICONS = {
  pending: [['S', 'M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11z']],
  running: [['S', 'M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11z'], ['F', 'M6.5 5.2v5.6L11 8z']],
  waiting: [['S', 'M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11z'], ['S', 'M8 5v3.2l2.2 1.4']],
  completed: [['F', 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z'], ['K', 'M5 8.2l2.1 2.1L11 6.2']],
  failed: [['F', 'M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2z'], ['K', 'M5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4']],
  cancelled: [['S', 'M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11z'], ['S', 'M4.2 4.2l7.6 7.6']],
  stopped: [['S', 'M3.5 3.5h9v9h-9z']],
  skipped: [['S', 'M4 8h8']],
  paused: [['F', 'M3 2.5h10a.5.5 0 0 1 .5.5v10a.5.5 0 0 1-.5.5H3a.5.5 0 0 1-.5-.5V3a.5.5 0 0 1 .5-.5z'], ['K', 'M6.3 5.5v5M9.7 5.5v5']],
  late: [['S', 'M8 2L1.8 13.2h12.4z'], ['S', 'M8 6.2v3.4M8 11.2v.4']],
  search: [['S', 'M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9zM10.3 10.3L14 14']],
  copy: [['S', 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3']],
  check: [['S', 'M3 8.5l3.2 3.2L13 4.8']],
  close: [['S', 'M4 4l8 8M12 4l-8 8']],
  right: [['S', 'M6 3.5L10.5 8L6 12.5']],
  down: [['S', 'M3.5 6L8 10.5L12.5 6']],
  download: [['S', 'M8 2.5v7.5M4.8 7L8 10.2L11.2 7M3 13.5h10']],
  overview: [['S', 'M2.5 2.5h4.7v4.7H2.5zM8.8 2.5h4.7v4.7H8.8zM2.5 8.8h4.7v4.7H2.5zM8.8 8.8h4.7v4.7H8.8z']],
  instances: [['S', 'M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.1M2.5 8h.1M2.5 12h.1']],
  workers: [['S', 'M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.1M5 11h.1']],
  about: [['S', 'M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11zM8 7.5v3.3M8 5.2v.1']],
  sun: [['S', 'M8 5.2a2.8 2.8 0 1 0 0 5.6a2.8 2.8 0 1 0 0-5.6zM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7']],
  moon: [['S', 'M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z']],
  system: [['S', 'M2 3h12v8H2zM6 13.5h4']],
  plus: [['S', 'M8 3v10M3 8h10']],
  minus: [['S', 'M3 8h10']],
  fit: [['S', 'M2.5 5.5v-3h3M10.5 2.5h3v3M13.5 10.5v3h-3M5.5 13.5h-3v-3']],
};

/** @param {{name: string, label?: string}} props */
export function Icon({name, label}) {
  const shapes = ICONS[name] ?? ICONS.pending;
  return html`<svg class=${'icon i-' + name} viewBox="0 0 16 16" width="16" height="16" role=${label ? 'img' : undefined}
    aria-label=${label} aria-hidden=${label ? undefined : 'true'}>${shapes.map(([kind, d]) =>
      html`<path class=${{F: 'fill', S: 'line', K: 'knock'}[kind]} d=${d} />`)}</svg>`;
}

/** A status by colour, shape and word. @param {{status: string, word?: string, bare?: boolean}} props */
export const Badge = ({status, word, bare}) =>
  html`<span class=${`badge s-${status}${bare ? ' bare' : ''}`}><${Icon} name=${status} />${word ?? status}</span>`;

/** The title and the icon of the page say what is shown and what it has come to. @param {string} text @param {string} status */
export function showTitle(text, status) {
  document.title = [status, text, 'durabled'].filter(Boolean).join(' · ');
  /** @type {Record<string, [string, string]>} */
  const marks = {
    failed: ['c9302c', "<path d='M10 2h12l8 8v12l-8 8H10l-8-8V10z'/>"], paused: ['b26a00', "<rect x='3' y='3' width='26' height='26' rx='4'/>"],
    completed: ['1a7f4b', ''], running: ['2563c9', ''], waiting: ['7c4dbe', ''], pending: ['6b7280', ''], cancelled: ['6b7280', ''],
  };
  const [color, shape] = marks[status] ?? ['3b5bdb', ''];
  const link = /** @type {HTMLLinkElement|null} */ (document.querySelector('link[rel=icon]'));
  const svg = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32' fill='%23${color}'>${shape || "<circle cx='16' cy='16' r='14'/>"}</svg>`;
  if (link) link.href = 'data:image/svg+xml,' + svg;
}

/** What an instance is doing, finer than its status. @param {import('./types').Row} row */
export function shownStatus(row) {
  if (row.status === 'running' && row.why && ['signal', 'timer', 'schedule', 'retry', 'limit', 'login'].includes(row.why.kind)) return 'waiting';
  return row.status;
}

// ------------------------------------------------------------------------------------------------------ times, texts

/** @param {{at: string|null|undefined}} props */
export function Time({at}) {
  if (!at) return html`<span class="dim">–</span>`;
  return html`<time datetime=${at} title=${at}>${moment(at, zone.value, now.value)}</time>`;
}

/** How long ago or in how long; of a time that was to be met also how late. @param {{at: string|null|undefined, until?: boolean}} props */
export function Ago({at, until}) {
  if (!at) return html`<span class="dim">–</span>`;
  const passed = now.value + skew.value - new Date(at).getTime();
  const text = passed < 0 || until ? clock(Math.abs(passed)) : coarse(passed);
  return html`<time datetime=${at} title=${`${moment(at, zone.value, now.value)} ${zoneName(zone.value)} · ${at}`}>${
    text === 'now' ? 'now' : passed < 0 ? `in ${text}` : `${text} ${until ? 'late' : 'ago'}`}</time>`;
}

/** For how long something has lasted. @param {{at: string}} props */
export const Since = ({at}) => {
  const text = coarse(Math.max(0, now.value + skew.value - new Date(at).getTime()));
  return html`<time datetime=${at} title=${at}>${text === 'now' ? 'just now' : 'for ' + text}</time>`;
};

/** How long something took, or has taken so far. @param {{from: string|null, to: string|null, ms?: number|null}} props */
export function Took({from, to, ms}) {
  if (ms !== null && ms !== undefined) return html`<span>${duration(ms)}</span>`;
  if (!from) return html`<span class="dim">–</span>`;
  if (to) return html`<span>${duration(new Date(to).getTime() - new Date(from).getTime())}</span>`;
  return html`<span>${clock(Math.max(0, now.value + skew.value - new Date(from).getTime()))}</span>`;
}

/** Puts text on the clipboard, also on pages without TLS, where browsers offer no clipboard. @param {string} text */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'offscreen';
    const owner = document.activeElement?.closest('dialog') ?? document.body;
    owner.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

/** @param {{text: string, label: string, children?: Children}} props */
export function Copy({text, label, children}) {
  const [done, setDone] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    await copyText(text);
    setDone(true);
    timer.current = setTimeout(() => setDone(false), 1500);
  };
  return html`<button type="button" class=${children ? 'quiet' : 'quiet icon-only'} onClick=${copy} aria-label=${label} title=${label}>
    <${Icon} name=${done ? 'check' : 'copy'} />${children}</button>`;
}

/**
 * A text of the database's as it is, with its beginning and a download where there is more.
 * @param {{piece: Piece|null|undefined, json?: boolean, download?: string, label: string, empty?: string}} props
 */
export function Text({piece, json, download, label, empty}) {
  const [plain, setPlain] = useState(false);
  if (!piece) return html`<p class="dim">${empty ?? 'none'}</p>`;
  const shown = json && !plain && !piece.cut ? indentJson(piece.text) : piece.text;
  return html`<div class="text">
    <div class="text-tools">
      <span class="dim">${piece.cut ? `the first ${bytes(piece.text.length)} of ${bytes(piece.bytes)}` : bytes(piece.bytes)}</span>
      ${json && !piece.cut && html`<button type="button" class="quiet" aria-pressed=${plain} onClick=${() => setPlain(!plain)}>as stored</button>`}
      <${Copy} text=${piece.text} label=${'Copy ' + label} />
      ${download && html`<a class="button quiet icon-only" href=${download} download aria-label=${'Download ' + label}
        title=${`Download all ${bytes(piece.bytes)}`}><${Icon} name="download" /></a>`}
    </div>
    <pre tabindex="0" aria-label=${label}>${shown}</pre>
  </div>`;
}

// ------------------------------------------------------------------------------------------------------- page pieces

/** What to do where there is nothing to show. @param {{title: string, children?: Children, icon?: string}} props */
export const Empty = ({title, children, icon}) =>
  html`<div class="empty">${icon && html`<${Icon} name=${icon} />`}<h2>${title}</h2>${children}</div>`;

/** @param {{error: Error & {hint?: string|null}}} props */
export const Failure = ({error}) =>
  html`<div class="note bad" role="alert"><${Icon} name="failed" /><div><p>${error.message}</p>${error.hint && html`<p class="dim">${error.hint}</p>`}</div></div>`;

export const Loading = () => html`<div class="loading" role="status"><span class="offscreen">Loading</span><i /><i /><i /></div>`;

/** @param {{tabs: [string, string, number?][], current: string, link: (tab: string) => string, label: string}} props */
export function Tabs({tabs, current, link, label}) {
  const ref = useRef(/** @type {HTMLElement|null} */ (null));
  useLayoutEffect(() => {
    // Only sideways: the page itself stays where it is.
    const bar = ref.current;
    const tab = /** @type {HTMLElement|null|undefined} */ (bar?.querySelector('[aria-current]'));
    if (bar && tab) bar.scrollLeft = tab.offsetLeft - bar.offsetLeft - 40;
  }, [current]);
  return html`<nav class="tabs" ref=${ref} aria-label=${label}>${tabs.map(([key, name, n]) =>
  html`<a key=${key} href=${link(key)} aria-current=${key === current ? 'page' : undefined}>${name}${
    n ? html`<span class="count">${n}</span>` : null}</a>`)}</nav>`;
}

/**
 * What a path of the API has: asked at once, and again every `ms` while the page is seen and may change; 0: once.
 * @param {string} path @param {number} ms @param {Record<string, string|number|undefined>} [params]
 */
export function useAnswer(path, ms, params = {}) {
  const key = path + JSON.stringify(params);
  const state = useMemo(() => ({data: signal(/** @type {any} */ (null)), error: signal(/** @type {any} */ (null))}), [key]);
  const load = async () => {
    try {
      state.data.value = await get(path, params);
      state.error.value = null;
    } catch (problem) {
      state.error.value = problem;
    }
  };
  useEffect(() => {
    if (ms) return every(ms, load);
    load();
    return undefined;
  }, [key]);
  const [data, error] = [state.data.value, state.error.value];
  /** Stands for what is not there yet, or says why it will not be. */
  const status = html`${error && html`<${Failure} error=${error} />`}${!data && !error && html`<${Loading} />`}`;
  return {data, status, load, set: (/** @type {any} */ value) => { state.data.value = value; }};
}

/** @type {import('./lib/signals.js').Signal<{text: string, bad?: boolean, link?: string}|null>} */
export const notice = signal(null);
let noticeTimer = 0;
/** Says what was done, for a few seconds. @param {string} text @param {{bad?: boolean, link?: string}} [more] */
export function tell(text, more = {}) {
  notice.value = {text, ...more};
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => {
    notice.value = null;
  }, more.bad ? 12000 : 6000);
}

/**
 * A dialog in front of the page. Nothing behind it changes while it is open.
 * @param {{title: string, close: () => void, children: Children, wide?: boolean}} props
 */
export function Dialog({title, close, children, wide}) {
  const ref = useRef(/** @type {HTMLDialogElement|null} */ (null));
  useLayoutEffect(() => {
    const back = /** @type {HTMLElement|null} */ (document.activeElement);
    const release = hold();
    ref.current?.showModal();
    /** @type {HTMLElement|null|undefined} */ (ref.current?.querySelector('textarea, input[type=text]:not([readonly]), footer button'))?.focus();
    return () => {
      release();
      if (back?.isConnected) back.focus();
    };
  }, []);
  /** @param {MouseEvent} event */
  const outside = (event) => {
    if (event.target === ref.current) close();
  };
  /** @param {Event} event */
  const cancel = (event) => {
    event.preventDefault();
    close();
  };
  return html`<dialog ref=${ref} class=${wide ? 'wide' : ''} aria-labelledby="dialog-title" onCancel=${cancel} onMouseDown=${outside}>
    <div class="dialog"><header><h2 id="dialog-title">${title}</h2>
      <button type="button" class="quiet icon-only" aria-label="Close" onClick=${close}><${Icon} name="close" /></button></header>
      ${children}</div></dialog>`;
}

/** The dialog that is open, as an element; null for none. @type {import('./lib/signals.js').Signal<any>} */
export const dialog = signal(null);
export const closeDialog = () => {
  dialog.value = null;
};
