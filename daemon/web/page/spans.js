// When each step waited and when it ran, from the events of an instance. Pure.

/** @typedef {import('./types').TreeNode} TreeNode */
/** @typedef {import('./types').Event} HistoryEvent */
/** @typedef {{kind: 'queue'|'run'|'failed'|'timer'|'signal'|'backoff', from: number, to: number|null}} Segment */
/** @typedef {{key: string, node: TreeNode, scope: string, segments: Segment[], attempts: number}} Span */

/** A time within an event's data, in milliseconds. @param {HistoryEvent} event @param {string} field */
function timeIn(event, field) {
  const found = new RegExp(`"${field}"\\s*:\\s*"([^"]+)"`).exec(event.data?.text ?? '');
  return found ? Date.parse(found[1]) : null;
}

/** The part of a scope that belongs to a node within that number of loops. @param {string} scope @param {number} loops */
const scopeOf = (scope, loops) => scope.split('.').slice(0, loops).join('.');

/**
 * @param {TreeNode[]} nodes @param {HistoryEvent[]} events in the order of seq @param {string} created
 * @returns {Span[]} in the order in which they began
 */
export function spansOf(nodes, events, created) {
  /** @type {Map<string, TreeNode>} */
  const byId = new Map(nodes.map((node) => [node.id, node]));
  /** @type {Map<string, number>} the last event within a node and scope */
  const ends = new Map();
  /** @type {Map<string, number>} when an iteration began */
  const iterations = new Map();
  /** @type {Map<string, Span>} */
  const spans = new Map();

  /** When a node could begin. @param {TreeNode} node @param {string} scope @returns {number} */
  function readyAt(node, scope) {
    const parent = nodes[node.parent];
    if (!parent) return Date.parse(created);
    const outer = scopeOf(scope, parent.loops);
    if (parent.type === 'LOOP' && node.slot === 0) {
      const began = iterations.get(`${parent.i}:${scopeOf(scope, node.loops)}`);
      if (began !== undefined) return began;
    }
    const ordered = !['JOIN', 'RACE', 'ANY'].includes(parent.type);
    const condition = parent.type === 'IF' && nodes[parent.children[0]].role === 'condition';
    const before = parent.type === 'IF' ? (node.slot > 0 && condition ? 0 : -1) : ordered ? node.slot - 1 : -1;
    if (before >= 0) {
      const sibling = nodes[parent.children[before]];
      const end = ends.get(`${sibling.i}:${scopeOf(scope, sibling.loops)}`);
      if (end !== undefined) return end;
    }
    return readyAt(parent, outer);
  }

  /** @param {TreeNode} node @param {string} scope @param {number} at */
  function noteEnd(node, scope, at) {
    for (let n = node; n; n = nodes[n.parent]) ends.set(`${n.i}:${scopeOf(scope, n.loops)}`, at);
  }

  for (const event of events) {
    const node = event.node === null ? undefined : byId.get(event.node);
    if (!node) continue;
    const at = Date.parse(event.at);
    const key = `${node.i}:${event.scope}`;
    if (event.kind === 'IterationCompleted') {
      const next = Number(/"iteration"\s*:\s*(\d+)/.exec(event.data?.text ?? '')?.[1] ?? 0);
      iterations.set(`${node.i}:${event.scope ? event.scope + '.' : ''}${next}`, at);
      noteEnd(node, event.scope, at);
      continue;
    }
    if (node.children.length) {
      noteEnd(node, event.scope, at);
      continue;
    }
    let span = spans.get(key);
    if (!span) spans.set(key, (span = {key, node, scope: event.scope, segments: [], attempts: 0}));
    step(span, event, at, span.segments.length ? null : readyAt(node, event.scope));
    noteEnd(node, event.scope, at);
  }
  const begin = (/** @type {Span} */ span) => span.segments[0]?.from ?? Infinity;
  return [...spans.values()].filter((span) => span.segments.length).sort((a, b) => begin(a) - begin(b) || a.node.i - b.node.i);
}

/** Adds what an event says to a span. @param {Span} span @param {HistoryEvent} event @param {number} at @param {number|null} ready */
function step(span, event, at, ready) {
  const {segments} = span;
  const last = segments[segments.length - 1];
  switch (event.kind) {
    case 'StepStarted':
      if (last && last.to === null) last.to = at;
      else {
        const from = last ? last.to : ready;
        if (from !== null && from < at) segments.push({kind: 'queue', from, to: at});
      }
      segments.push({kind: 'run', from: at, to: null});
      break;
    case 'StepCompleted':
    case 'StepFailed': {
      const failed = event.kind === 'StepFailed';
      let began = event.started_at ? Date.parse(event.started_at) : null;
      if (last?.kind === 'run' && last.to === null) {
        if (began !== null && began < last.from) {
          const before = segments[segments.length - 2];
          if (before?.kind === 'queue' && before.to === last.from) before.to = Math.max(before.from, began);
          last.from = began;
        }
        last.to = at;
        last.kind = failed ? 'failed' : 'run';
      } else {
        began ??= at;
        const from = last ? last.to ?? began : ready ?? began;
        if (last && last.to === null) last.to = began;
        if (from < began) segments.push({kind: 'queue', from, to: began});
        segments.push({kind: failed ? 'failed' : 'run', from: began, to: at});
      }
      span.attempts = Math.max(span.attempts, event.attempt ?? 1);
      const again = failed ? timeIn(event, 'retry_at') : null;
      if (again !== null) segments.push({kind: 'backoff', from: at, to: again});
      break;
    }
    case 'TimerStarted': segments.push({kind: 'timer', from: at, to: null}); break;
    case 'SignalAwaited': segments.push({kind: 'signal', from: at, to: null}); break;
    case 'TimerFired':
    case 'SignalReceived':
      if (last && (last.to === null || last.kind === 'backoff')) last.to = at;
      break;
  }
}

/** What a span is made of, in milliseconds. @param {Span} span @param {number} now */
export function totals(span, now) {
  let ran = 0;
  let waited = 0;
  for (const {kind, from, to} of span.segments) {
    if (kind === 'run' || kind === 'failed') ran += (to ?? now) - from;
    else waited += (to ?? now) - from;
  }
  return {ran, waited};
}
