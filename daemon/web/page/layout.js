// Where the boxes of a workflow's graph are drawn. Pure and linear in the number of nodes; no DOM.
//
// Every subtree is measured into a box with an axis, the x at which its flow enters and leaves. A sequence puts its
// children below each other on one axis, branches stand side by side between a head and a point where they meet
// again, and loops, retries, timeouts and catches are frames around what they enclose.

import {hasCondition, isFrame, isParallel} from './tree.js';

/** @typedef {import('./types').TreeNode} TreeNode */
/** @typedef {import('./types').Box} Box */
/** @typedef {import('./types').Edge} Edge */
/** @typedef {{w: number, h: number, axis: number, shown: number}} Size */

export const LEAF = {w: 208, h: 52};
const HEAD = {w: 152, h: 28};
const ROW = 28; // between the steps of a sequence
const DROP = 34; // between a head and its branches
const COLUMN = 24;
const PAD = 16;
const TITLE = 32; // of a frame
const FRAME = 256; // what is inside a frame is at least as wide, so that its title fits
const MEET = 6; // the point where branches meet
const EMPTY = 48; // the width of a branch without steps

/** How many siblings are drawn before the rest is folded into one box. */
export const SIBLINGS = {THEN: 100, branches: 20};

/** @param {TreeNode} node @param {Set<number>} opened */
function shownChildren(node, opened) {
  const limit = node.type === 'THEN' ? SIBLINGS.THEN : SIBLINGS.branches;
  const n = node.children.length;
  return opened.has(node.i) || n <= limit + 1 ? n : limit;
}

/** @param {{w: number, axis: number}[]} parts */
function stack(parts) {
  const left = Math.max(...parts.map((p) => p.axis));
  return {axis: left, w: left + Math.max(...parts.map((p) => p.w - p.axis))};
}

/**
 * Lays a graph out.
 * @param {TreeNode[]} nodes
 * @param {{folded?: Set<number>, opened?: Set<number>}} [view] folded: nodes drawn as one box, with what they enclose;
 *   opened: nodes whose siblings are all drawn, however many there are
 * @returns {{w: number, h: number, boxes: Box[], edges: Edge[]}}
 */
export function layout(nodes, view = {}) {
  const folded = view.folded ?? new Set();
  const opened = view.opened ?? new Set();
  /** @type {Size[]} */
  const sizes = new Array(nodes.length);
  /** @type {Box[]} */
  const boxes = [];
  /** @type {Edge[]} */
  const edges = [];

  /** The branches of a node, without the condition of an IF. @param {TreeNode} node */
  const branchesOf = (node) => (hasCondition(nodes, node) ? node.children.slice(1) : node.children);

  /** @param {number} i @returns {Size} */
  function measure(i) {
    const node = nodes[i];
    const shown = shownChildren(node, opened);
    const kids = node.children.slice(0, shown);
    /** @type {Size} */
    let size = {...LEAF, axis: LEAF.w / 2, shown};
    if (kids.length && !folded.has(i)) {
      if (node.type === 'IF' || isParallel(node.type)) size = measureBranches(node, shown);
      else {
        const parts = kids.map(measure);
        if (shown < node.children.length) parts.push({...LEAF, axis: LEAF.w / 2, shown: 0});
        const {w, axis} = stack(parts);
        const h = parts.reduce((sum, p) => sum + p.h + ROW, -ROW);
        size = isFrame(node)
          ? {w: Math.max(w, FRAME) + 2 * PAD, h: h + TITLE + 2 * PAD, axis: axis + PAD + Math.max(0, (FRAME - w) / 2), shown}
          : {w, h, axis, shown};
      }
    }
    sizes[i] = size;
    return size;
  }

  /** @param {TreeNode} node @param {number} shown @returns {Size} */
  function measureBranches(node, shown) {
    const head = hasCondition(nodes, node) ? measure(node.children[0]) : {...HEAD, axis: HEAD.w / 2, shown: 0};
    const parts = branchesOf(node).slice(0, shown).map(measure);
    if (node.type === 'IF' && parts.length === 1) parts.push({w: EMPTY, h: 0, axis: EMPTY / 2, shown: 0});
    if (shown < node.children.length) parts.push({...LEAF, axis: LEAF.w / 2, shown: 0});
    const w = parts.reduce((sum, p) => sum + p.w + COLUMN, -COLUMN);
    const last = parts[parts.length - 1];
    const middle = (parts[0].axis + w - last.w + last.axis) / 2;
    const both = stack([{w, axis: middle}, head]);
    const h = head.h + DROP + Math.max(...parts.map((p) => p.h)) + ROW + MEET;
    return {w: both.w, h, axis: both.axis, shown};
  }

  /** @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 @param {number} to
   * @param {string} [label] @param {number} [turn] the y at which it goes sideways */
  const join = (x1, y1, x2, y2, to, label, turn) => edges.push({x1, y1, x2, y2, to, label, turn: turn ?? (y1 + y2) / 2});

  /** Puts a node at (x, y). @param {number} i @param {number} x @param {number} y */
  function place(i, x, y) {
    const node = nodes[i];
    const size = sizes[i];
    if (!node.children.length || folded.has(i)) {
      boxes.push({i, kind: node.children.length ? 'fold' : 'leaf', x, y, w: LEAF.w, h: LEAF.h});
    } else if (node.type === 'IF' || isParallel(node.type)) {
      placeBranches(node, x, y);
    } else if (isFrame(node)) {
      boxes.push({i, kind: 'frame', x, y, w: size.w, h: size.h});
      placeSequence(node, x + size.axis, y + TITLE + PAD);
    } else {
      placeSequence(node, x + size.axis, y);
    }
  }

  /** @param {TreeNode} node @param {number} axis @param {number} y */
  function placeSequence(node, axis, y) {
    const {shown} = sizes[node.i];
    const labels = {LOOP: 'while', FOR_EACH: 'each row', CATCH: 'on error'};
    const label = labels[/** @type {keyof typeof labels} */ (node.type)];
    node.children.slice(0, shown).forEach((child, n) => {
      if (n) join(axis, y - ROW, axis, y, child, label);
      place(child, axis - sizes[child].axis, y);
      y += sizes[child].h + ROW;
    });
    if (shown < node.children.length) {
      join(axis, y - ROW, axis, y, node.children[shown]);
      boxes.push({i: node.i, kind: 'more', from: shown, x: axis - LEAF.w / 2, y, w: LEAF.w, h: LEAF.h});
    }
  }

  /** @param {TreeNode} node @param {number} x @param {number} y */
  function placeBranches(node, x, y) {
    const size = sizes[node.i];
    const axis = x + size.axis;
    const bottom = y + size.h;
    const asked = hasCondition(nodes, node);
    const head = asked ? sizes[node.children[0]].h : HEAD.h;
    if (asked) place(node.children[0], axis - sizes[node.children[0]].axis, y);
    else boxes.push({i: node.i, kind: 'head', x: axis - HEAD.w / 2, y, w: HEAD.w, h: HEAD.h});
    const top = y + head + DROP;
    const branches = branchesOf(node).slice(0, size.shown);
    const parts = branches.map((child) => sizes[child]);
    const more = size.shown < node.children.length;
    const empty = node.type === 'IF' && branches.length === 1;
    if (empty) parts.push({w: EMPTY, h: 0, axis: EMPTY / 2, shown: 0});
    if (more) parts.push({...LEAF, axis: LEAF.w / 2, shown: 0});
    const last = parts[parts.length - 1];
    const width = parts.reduce((sum, p) => sum + p.w + COLUMN, -COLUMN);
    let left = axis - (parts[0].axis + width - last.w + last.axis) / 2;
    parts.forEach((part, n) => {
      const child = branches[n];
      const to = child ?? (empty ? -1 - node.i : node.children[size.shown]);
      const mid = left + part.axis;
      join(axis, y + head, mid, top, to, node.type === 'IF' ? (n ? 'else' : 'then') : undefined, y + head + DROP / 2);
      if (child !== undefined) place(child, left, top);
      else if (more) boxes.push({i: node.i, kind: 'more', from: size.shown, x: left, y: top, w: LEAF.w, h: LEAF.h});
      join(mid, top + part.h, axis, bottom - MEET, to, undefined, bottom - MEET - ROW / 2);
      left += part.w + COLUMN;
    });
    boxes.push({i: node.i, kind: 'meet', x: axis - MEET / 2, y: bottom - MEET, w: MEET, h: MEET});
  }

  if (!nodes.length) return {w: 0, h: 0, boxes, edges};
  const {w, h} = measure(0);
  place(0, 0, 0);
  return {w, h, boxes, edges};
}

/**
 * Which nodes to fold at first, so that no more than `limit` nodes are drawn: what lies deepest goes first.
 * @param {TreeNode[]} nodes @param {number} [limit] @returns {Set<number>}
 */
export function initialFold(nodes, limit = 2000) {
  const folded = new Set();
  let drawn = 1;
  let level = nodes.length ? [0] : [];
  while (level.length) {
    /** @type {number[]} */
    const next = [];
    for (const i of level) {
      const kids = nodes[i].children.slice(0, shownChildren(nodes[i], new Set()));
      if (!kids.length) continue;
      if (drawn + kids.length > limit) folded.add(i);
      else {
        drawn += kids.length;
        next.push(...kids);
      }
    }
    level = next;
  }
  return folded;
}
