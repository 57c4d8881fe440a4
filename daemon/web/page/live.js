// What the page shows stays current by one stream for each tab. It is closed while the tab is hidden, and replaced by
// polling where a stream does not get through. While a dialog is open or rows are selected, what comes is kept back.

import {ApiError, get, noteError, queryString, trouble} from './api.js';
import {computed, effect, signal, untracked} from './lib.js';

/** @typedef {Record<string, string|number|undefined>} Watch what to watch: the parameters of api/stream */
/** @typedef {{instance?: (data: any) => void, list?: (data: any) => void, overview?: (data: any) => void,
 *   end?: (data: any) => void}} Handlers */

const FIRST_MESSAGE_MS = 5000;

export const hidden = signal(typeof document !== 'undefined' && document.hidden);
/** Reasons to hold still: open dialogs, selected rows. @type {import('./lib/signals.js').Signal<number>} */
export const holds = signal(0);
/** Whether text of the page is selected, which a redraw would lose. */
export const selecting = signal(false);
export const frozen = computed(() => holds.value > 0 || selecting.value);
/** How what is watched comes: 'live', 'polling', or 'off' where nothing is watched. */
export const connection = signal('off');

/** Holds still until the returned function is called. */
export function hold() {
  holds.value++;
  let held = true;
  return () => {
    if (held) holds.value--;
    held = false;
  };
}

/** Notices when the page is hidden or text is selected; call once. */
export function followPage() {
  document.addEventListener('visibilitychange', () => {
    hidden.value = document.hidden;
  });
  document.addEventListener('selectionchange', () => {
    const selection = document.getSelection();
    const field = document.activeElement?.tagName;
    selecting.value = !!selection && !selection.isCollapsed && field !== 'INPUT' && field !== 'TEXTAREA';
  });
}

/**
 * Watches until the returned function is called.
 * @param {() => Watch|null} wanted what to watch now, read when a connection is made; null: nothing
 * @param {Handlers} handlers
 */
export function watch(wanted, handlers) {
  /** @type {EventSource|null} */
  let source = null;
  let timer = 0;
  let ended = false;
  let polling = false;
  /** @type {(() => void)[]} */
  let kept = [];

  /** @param {() => void} apply */
  const deliver = (apply) => (frozen.value ? kept.push(apply) : apply());

  /** @param {'instance'|'list'|'overview'} kind @param {any} data */
  const take = (kind, data) => deliver(() => handlers[kind]?.(data));

  /** @param {any} data */
  function end(data) {
    ended = true;
    close();
    connection.value = 'off';
    deliver(() => handlers.end?.(data));
  }

  function close() {
    source?.close();
    source = null;
    clearTimeout(timer);
  }

  async function poll() {
    const what = wanted();
    if (!what || ended) return;
    let pause = 3000;
    try {
      const answer = await get('changes', what);
      if (!polling) return;
      connection.value = 'polling';
      for (const kind of /** @type {const} */ (['instance', 'list', 'overview'])) if (answer[kind]) take(kind, answer[kind]);
      if (answer.end) return end({});
      pause = answer.poll_ms ?? pause;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;
    }
    if (polling) timer = setTimeout(poll, pause);
  }

  function startPolling() {
    close();
    polling = true;
    poll();
  }

  function open() {
    close();
    polling = false;
    const what = wanted();
    if (!what || ended || hidden.peek()) return;
    const stream = new EventSource('api/stream' + queryString(what));
    source = stream;
    timer = setTimeout(startPolling, FIRST_MESSAGE_MS);
    /** @param {MessageEvent} event */
    const parsed = (event) => {
      clearTimeout(timer);
      connection.value = 'live';
      trouble.value = null;
      return JSON.parse(event.data);
    };
    for (const kind of /** @type {const} */ (['instance', 'list', 'overview'])) {
      stream.addEventListener(kind, (event) => take(kind, parsed(event)));
    }
    stream.addEventListener('end', (event) => end(parsed(event)));
    stream.addEventListener('fault', (event) => {
      const {error} = parsed(event);
      noteError(new ApiError(error.code === 'no_session' ? 401 : 503, error));
    });
    stream.addEventListener('open', () => {
      connection.value = 'live';
      trouble.value = null;
      clearTimeout(timer);
    });
    stream.addEventListener('error', () => {
      if (source !== stream) return;
      // A refused stream stays closed; asking says why, and goes on where the answer is fine.
      if (stream.readyState === EventSource.CLOSED) startPolling();
      else {
        clearTimeout(timer);
        trouble.value = new ApiError(0, {message: 'durabled ui does not answer', code: 'unreachable'});
      }
    });
  }

  const stops = [
    effect(() => {
      if (hidden.value) {
        polling = false;
        close();
      } else untracked(open);
    }),
    effect(() => {
      if (frozen.value || !kept.length) return;
      const applies = kept;
      kept = [];
      untracked(() => applies.forEach((apply) => apply()));
    }),
  ];
  return {
    /** Connects again, because what to watch has changed. */
    again: () => {
      ended = false;
      open();
    },
    stop: () => {
      stops.forEach((stop) => stop());
      polling = false;
      ended = true;
      close();
      connection.value = 'off';
    },
  };
}

/**
 * Loads at once, and again every `ms` while the page is seen and may change.
 * @param {number} ms @param {() => Promise<void>} load @returns {() => void} stops it
 */
export function every(ms, load) {
  let stopped = false;
  let timer = 0;
  const turn = async () => {
    if (!hidden.peek() && !frozen.peek()) await load().catch(() => {});
    if (!stopped) timer = setTimeout(turn, ms);
  };
  turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
