import assert from 'node:assert/strict';
import {readdirSync, readFileSync} from 'node:fs';
import {test} from 'node:test';
import {bytes, clock, coarse, count, duration, indentJson, moment} from '../../daemon/web/page/format.js';
import {initialFold, layout, LEAF, SIBLINGS} from '../../daemon/web/page/layout.js';
import {spansOf} from '../../daemon/web/page/spans.js';
import {countWords, failedPath, firstFailure, foldedWords, leafCounts, nodeStates, stepsFrom} from '../../daemon/web/page/states.js';
import {buildTree, describe as describeNode} from '../../daemon/web/page/tree.js';

const HEADINGS = {IF: ['condition', 'then', 'else'], LOOP: ['body', 'while'], FOR_EACH: ['rows', 'body'],
  CATCH: ['body', 'handler'], RETRY: ['body'], TIMEOUT: ['body'], IF_ROWS: ['then', 'else']};

/** A tree from nested arrays, as the server would send it: ['JOIN', 'SQL', ['THEN', 'SQL', 'SQL']]. */
function tree(shape) {
  const list = [];
  (function walk(node, parent, heading, loops) {
    const [kind, ...children] = Array.isArray(node) ? node : [node];
    const at = list.length;
    const type = kind === 'IF_ROWS' ? 'IF' : kind;
    list.push({id: at.toString(16).padStart(8, '0'), parent, type, text: children.length ? type : 'SELECT 1', name: null, heading, loops});
    const inner = (n) => loops + (kind === 'LOOP' || (kind === 'FOR_EACH' && n === 1) ? 1 : 0);
    children.forEach((child, n) => walk(child, at, HEADINGS[kind]?.[n] ?? (kind === 'THEN' ? null : `branch ${n + 1}`), inner(n)));
  })(shape, null, null, 0);
  return buildTree(list);
}

/** A seeded generator of numbers below 1 (mulberry32). */
function numbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function randomShape(random, budget, depth = 0) {
  if (budget.left <= 0 || depth > 12 || random() < 0.25) return 'SQL';
  const type = ['THEN', 'JOIN', 'RACE', 'ANY', 'IF', 'IF_ROWS', 'LOOP', 'FOR_EACH', 'RETRY', 'TIMEOUT', 'CATCH'][Math.floor(random() * 11)];
  const counts = {IF: random() < 0.5 ? 2 : 3, IF_ROWS: random() < 0.5 ? 1 : 2, LOOP: random() < 0.5 ? 1 : 2, FOR_EACH: 2, RETRY: 1, TIMEOUT: 1, CATCH: 2};
  const count = counts[type] ?? 2 + Math.floor(random() * 30);
  budget.left -= count;
  return [type, ...Array.from({length: count}, () => randomShape(random, budget, depth + 1))];
}

const overlap = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
const inside = (a, b) => a.x >= b.x && a.y >= b.y && a.x + a.w <= b.x + b.w && a.y + a.h <= b.y + b.h;

function checkBoxes(nodes, {w, h, boxes}) {
  const encloses = (a, b) => a.kind === 'frame' && b.i >= a.i && b.i <= nodes[a.i].last;
  for (const box of boxes) assert.ok(inside(box, {x: 0, y: 0, w, h}), `box of node ${box.i} lies within the drawing`);
  // A sweep from top to bottom keeps the comparisons near each other.
  const sorted = [...boxes].sort((a, b) => a.y - b.y);
  for (let a = 0; a < sorted.length; a++) {
    for (let b = a + 1; b < sorted.length && sorted[b].y < sorted[a].y + sorted[a].h; b++) {
      if (!overlap(sorted[a], sorted[b])) continue;
      const [outer, inner] = encloses(sorted[a], sorted[b]) ? [sorted[a], sorted[b]] : [sorted[b], sorted[a]];
      assert.ok(encloses(outer, inner) && inside(inner, outer), `boxes of nodes ${sorted[a].i} and ${sorted[b].i} do not overlap`);
    }
  }
}

test('a sequence puts its steps below each other on one axis', () => {
  const nodes = tree(['THEN', 'SQL', 'SQL', 'SQL']);
  const {boxes, edges} = layout(nodes);
  assert.deepEqual(boxes.map((b) => b.i), [1, 2, 3]);
  assert.ok(boxes.every((b) => b.x === boxes[0].x));
  assert.ok(boxes[0].y < boxes[1].y && boxes[1].y < boxes[2].y);
  assert.deepEqual(edges.map((e) => e.to), [2, 3]);
});

test('branches stand side by side and meet again', () => {
  const nodes = tree(['JOIN', 'SQL', ['THEN', 'SQL', 'SQL']]);
  const {boxes, edges} = layout(nodes);
  const [first, second] = [boxes.find((b) => b.i === 1), boxes.find((b) => b.i === 3)];
  assert.equal(first.y, second.y);
  assert.ok(first.x + first.w < second.x);
  assert.ok(boxes.some((b) => b.kind === 'meet'));
  assert.equal(edges.filter((e) => e.to === 1).length, 2);
});

test('an IF without an else has an empty branch', () => {
  const nodes = tree(['IF', 'SQL', 'SQL']);
  const {edges, boxes} = layout(nodes);
  assert.deepEqual(edges.filter((e) => e.label).map((e) => e.label), ['then', 'else']);
  assert.deepEqual(boxes.filter((b) => b.kind === 'leaf').map((b) => b.i), [1, 2]);
});

test('loops, rows, retries, time limits and handlers are frames around what they enclose', () => {
  for (const shape of [['LOOP', 'SQL', 'SQL'], ['FOR_EACH', 'SQL', 'SQL'], ['RETRY', 'SQL'], ['TIMEOUT', 'SQL'], ['CATCH', 'SQL', 'SQL']]) {
    const nodes = tree(shape);
    const result = layout(nodes);
    assert.equal(result.boxes[0].kind, 'frame');
    checkBoxes(nodes, result);
  }
});

test('many siblings are drawn up to a limit, the rest is one box until it is opened', () => {
  const nodes = tree(['JOIN', ...Array(100).fill('SQL')]);
  const closed = layout(nodes);
  assert.equal(closed.boxes.filter((b) => b.kind === 'leaf').length, SIBLINGS.branches);
  assert.deepEqual(closed.boxes.filter((b) => b.kind === 'more').map((b) => b.from), [SIBLINGS.branches]);
  const open = layout(nodes, {opened: new Set([0])});
  assert.equal(open.boxes.filter((b) => b.kind === 'leaf').length, 100);
});

test('a folded node is one box of a leaf\'s size', () => {
  const nodes = tree(['THEN', 'SQL', ['LOOP', 'SQL', 'SQL'], 'SQL']);
  const {boxes} = layout(nodes, {folded: new Set([2])});
  const fold = boxes.find((b) => b.i === 2);
  assert.equal(fold.kind, 'fold');
  assert.deepEqual([fold.w, fold.h], [LEAF.w, LEAF.h]);
  assert.equal(boxes.length, 3);
});

test('boxes of random graphs never overlap', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = numbers(seed);
    const nodes = tree(randomShape(random, {left: 5 + Math.floor(random() * 200)}));
    const opened = new Set(nodes.filter(() => random() < 0.5).map((n) => n.i));
    const folded = new Set(nodes.filter((n) => n.children.length && random() < 0.1).map((n) => n.i));
    try {
      checkBoxes(nodes, layout(nodes, {folded, opened}));
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
  }
});

test('a graph of 10,000 nodes is laid out whole, and opens folded', () => {
  const random = numbers(7);
  const nodes = tree(['THEN', ...Array.from({length: 100}, () => ['JOIN', ...Array.from({length: 10}, () =>
    ['RETRY', ['THEN', 'SQL', 'SLEEP', ['TIMEOUT', ['CATCH', 'SQL', 'SQL']], ...Array(Math.floor(random() * 3)).fill('SQL')]])])]);
  assert.ok(nodes.length >= 9000, String(nodes.length));
  checkBoxes(nodes, layout(nodes));
  const drawn = layout(nodes, {folded: initialFold(nodes)}).boxes.filter((b) => b.kind !== 'meet').length;
  assert.ok(drawn <= 2000, String(drawn));
  assert.equal(initialFold(tree(['THEN', 'SQL', 'SQL'])).size, 0);
});

test('a chain as deep as the language allows is laid out', () => {
  let shape = 'SQL';
  for (let i = 0; i < 255; i++) shape = [i % 2 ? 'RETRY' : 'TIMEOUT', shape];
  const nodes = tree(shape);
  checkBoxes(nodes, layout(nodes));
});

test('an IF over rows has a head in place of a condition', () => {
  const {boxes, edges} = layout(tree(['IF_ROWS', 'SQL', 'SQL']));
  assert.deepEqual(boxes.filter((b) => b.kind === 'head').map((b) => b.i), [0]);
  assert.deepEqual(edges.filter((e) => e.label).map((e) => e.label), ['then', 'else']);
});

test('a node is described by its kind and what tells it from others', () => {
  const one = (type, text) => describeNode(buildTree([{id: '00000000', parent: null, type, text, name: null, heading: null}])[0]);
  assert.deepEqual(one('SQL', 'SELECT 1\n  FROM t'), {kind: 'SQL', text: 'SELECT 1 FROM t'});
  assert.deepEqual(one('SIGNAL', "SIGNAL 'go' (60s)"), {kind: 'Signal', text: 'go (60s)'});
  assert.deepEqual(one('WAIT_SCHEDULE', "WAIT '0 3 * * *'"), {kind: 'Schedule', text: '0 3 * * *'});
  assert.deepEqual(one('FOR_EACH', 'FOR EACH item (max 10)'), {kind: 'For each', text: 'item (max 10)'});
  assert.deepEqual(one('RETRY', 'RETRY 3x'), {kind: 'Retry', text: '3x'});
  assert.deepEqual(one('JOIN', 'JOIN (3)'), {kind: 'Join', text: 'waits for all'});
  assert.deepEqual(one('IF', "IF ROWS 'batch'"), {kind: 'If', text: "ROWS 'batch'"});
});

test('lengths of time have at most two units', () => {
  const cases = [[0, '0 ms'], [340, '340 ms'], [2340, '2.3 s'], [9999, '9.9 s'], [59999, '59 s'], [60000, '1 m'], [72000, '1 m 12 s'], [3600000, '1 h'],
    [3725000, '1 h 2 m'], [90061000, '1 d 1 h'], [-2000, '−2.0 s'], [1e12, '11,574 d 1 h']];
  for (const [ms, text] of cases) assert.equal(duration(ms), text);
  assert.deepEqual([clock(500), clock(2999), clock(61000)], ['now', '2 s', '1 m 1 s']);
  assert.deepEqual([coarse(10), coarse(5999), coarse(3725000)], ['now', '5 s', '1 h']);
});

test('moments are shown with as much of the date as is needed', () => {
  const at = Date.parse('2026-11-21T12:00:00Z');
  assert.equal(moment('2026-11-21T09:05:03.123456Z', 'utc', at), '09:05:03');
  assert.equal(moment('2026-03-01T09:05:03Z', 'utc', at), '1 Mar 09:05:03');
  assert.equal(moment('2025-12-31T23:59:59Z', 'utc', at), '31 Dec 2025 23:59:59');
  assert.equal(moment('infinity', 'utc', at), 'infinity');
});

test('sizes and counts', () => {
  assert.deepEqual([bytes(1), bytes(1023), bytes(65536), bytes(16777216), bytes(1500)], ['1 byte', '1,023 bytes', '64 kB', '16 MB', '1.5 kB']);
  assert.deepEqual([count(0), count(999), count(1000), count(1234567)], ['0', '999', '1,000', '1,234,567']);
});

test('JSON is indented without changing a number, an escape or a key', () => {
  const text = '{"n":12345678901234567890.10,"n":1e400,"s":"a\\"b{,:}\\u0041","e":{},"l":[ ],"x":[1, {"y":null}]}';
  const shown = indentJson(text);
  assert.equal(shown.replace(/\n\s*/g, '').replaceAll(': ', ':'), text.replace('[ ]', '[]').replace('1, {', '1,{'));
  assert.match(shown, /^{\n  "n": 12345678901234567890.10,\n/);
  for (const broken of ['{"a', '[[[', '}}', '"\\', '']) assert.equal(typeof indentJson(broken), 'string');
});

const states = (letters, more = {}) => ({seq: 1, letters, rows: {}, iterations: {}, attempts: {}, ...more});

test('a running step that waits is shown as waiting', () => {
  const nodes = tree(['THEN', 'SQL', 'SIGNAL', 'SQL']);
  assert.deepEqual(nodeStates(nodes, states('rcrp'), [{node: '00000002', kind: 'signal'}]), ['running', 'completed', 'waiting', 'pending']);
  assert.deepEqual(nodeStates(nodes, null, []), Array(4).fill('pending'));
});

test('the failed path leads from the root to the step, and ends at what handled the failure', () => {
  const nodes = tree(['THEN', 'SQL', ['JOIN', 'SQL', 'SQL'], 'SQL']);
  const state = nodeStates(nodes, states('fcfxfs'), []);
  assert.deepEqual([...failedPath(nodes, state)].sort(), [0, 2, 4]);
  assert.equal(firstFailure(nodes, state), 4);
  const handled = tree(['CATCH', 'SQL', 'SQL']);
  assert.deepEqual([...failedPath(handled, nodeStates(handled, states('cfc'), []))], [1]);
});

test('what is folded is counted', () => {
  const nodes = tree(['JOIN', 'SQL', ['THEN', 'SQL', 'SQL']]);
  assert.equal(countWords(leafCounts(nodes, nodeStates(nodes, states('rcrfr'), []), [0])), '1 failed, 1 running, 1 completed');
  const rows = tree(['FOR_EACH', 'SQL', 'SQL']);
  assert.equal(foldedWords(rows[0], states('rcr', {rows: {'00000000': {total: 100, done: 96, failed: 1}}})), '96/100 rows · 1 failed');
  assert.equal(foldedWords(rows[0], states('rcr', {rows: {'00000000': {total: 100, done: 96, failed: 0}}})), '96/100 rows · 4 to go');
  assert.equal(foldedWords(rows[0], states('rcr', {iterations: {'00000000': 3}})), 'iteration 4');
  assert.equal(foldedWords(rows[1], states('rcr', {attempts: {'00000001': 2}})), 'attempt 2');
  assert.deepEqual(stepsFrom(nodes, 2), ['SELECT 1', 'SELECT 1']);
});

const second = (n) => new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString();
const event = (seq, at, kind, node, more = {}) => ({seq, at: second(at), kind, node: node === null ? null : node.toString(16).padStart(8, '0'),
  scope: '', attempt: kind.startsWith('Step') ? 1 : null, started_at: null, data: null, ...more});
const pieces = (span) => span.segments.map(({kind, from, to}) => [kind, (from - Date.parse(second(0))) / 1000, to && (to - Date.parse(second(0))) / 1000]);

test('the timeline parts waiting from running', () => {
  const nodes = tree(['THEN', 'SQL', 'SQL', 'SLEEP', 'SIGNAL']);
  const spans = spansOf(nodes, [
    event(1, 3, 'InstanceStarted', null),
    event(2, 5, 'StepCompleted', 1, {started_at: second(4)}),
    event(3, 8, 'StepFailed', 2, {started_at: second(6), data: {text: `{"error":{},"retry_at":"${second(10)}"}`}}),
    event(4, 11, 'TimerFired', 2),
    event(5, 13, 'StepStarted', 2, {attempt: 2}),
    event(6, 15, 'StepCompleted', 2, {attempt: 2, started_at: second(12)}),
    event(7, 15, 'TimerStarted', 3), event(8, 17, 'TimerFired', 3),
    event(9, 17, 'SignalAwaited', 4),
  ], second(0));
  assert.deepEqual(spans.map((s) => s.node.i), [1, 2, 3, 4]);
  assert.deepEqual(pieces(spans[0]), [['queue', 0, 4], ['run', 4, 5]]);
  assert.deepEqual(pieces(spans[1]), [['queue', 5, 6], ['failed', 6, 8], ['backoff', 8, 11], ['queue', 11, 12], ['run', 12, 15]]);
  assert.deepEqual(pieces(spans[2]), [['timer', 15, 17]]);
  assert.deepEqual(pieces(spans[3]), [['signal', 17, null]]);
  assert.equal(spans[1].attempts, 2);
});

test('branches are ready together, and an iteration when the one before has ended', () => {
  const nodes = tree(['THEN', ['JOIN', 'SQL', 'SQL'], ['LOOP', 'SQL', 'SQL']]);
  const spans = spansOf(nodes, [
    event(1, 2, 'StepCompleted', 2, {started_at: second(1)}), event(2, 6, 'StepCompleted', 3, {started_at: second(5)}),
    event(3, 8, 'StepCompleted', 5, {scope: '0', started_at: second(7)}), event(4, 9, 'StepCompleted', 6, {scope: '0', started_at: second(8)}),
    event(5, 9, 'IterationCompleted', 4, {data: {text: '{"iteration":1,"names":{}}'}}),
    event(6, 12, 'StepCompleted', 5, {scope: '1', started_at: second(11)}),
  ], second(0));
  assert.deepEqual(spans.map((s) => [s.node.i, s.scope, pieces(s)[0]]), [[2, '', ['queue', 0, 1]], [3, '', ['queue', 0, 5]], [5, '0', ['queue', 6, 7]],
    [6, '0', ['run', 8, 9]], [5, '1', ['queue', 9, 11]]]);
});

test('no two modules of the page declare the same name, because the build puts them into one', () => {
  const page = new URL('../../daemon/web/page/', import.meta.url);
  const seen = new Map();
  for (const file of readdirSync(page).filter((name) => name.endsWith('.js'))) {
    const text = readFileSync(new URL(file, page), 'utf8');
    for (const [, name] of text.matchAll(/^(?:export )?(?:async )?(?:const|let|function|class) (\w+)/gm)) {
      assert.ok(!seen.has(name), `${name} is in ${seen.get(name)} and in ${file}`);
      seen.set(name, file);
    }
  }
});
