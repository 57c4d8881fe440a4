import assert from 'node:assert/strict';
import {test} from 'node:test';
import {initialFold, layout, LEAF, SIBLINGS} from '../../daemon/web/page/layout.js';
import {buildTree, describe as describeNode} from '../../daemon/web/page/tree.js';

const HEADINGS = {IF: ['condition', 'then', 'else'], LOOP: ['body', 'while'], FOR_EACH: ['rows', 'body'],
  CATCH: ['body', 'handler'], RETRY: ['body'], TIMEOUT: ['body'], IF_ROWS: ['then', 'else']};

/** A tree from nested arrays, as the server would send it: ['JOIN', 'SQL', ['THEN', 'SQL', 'SQL']]. */
function tree(shape) {
  const list = [];
  (function walk(node, parent, heading) {
    const [kind, ...children] = Array.isArray(node) ? node : [node];
    const at = list.length;
    const type = kind === 'IF_ROWS' ? 'IF' : kind;
    list.push({id: at.toString(16).padStart(8, '0'), parent, type, text: children.length ? type : 'SELECT 1', name: null, heading});
    children.forEach((child, n) => walk(child, at, HEADINGS[kind]?.[n] ?? (kind === 'THEN' ? null : `branch ${n + 1}`)));
  })(shape, null, null);
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
