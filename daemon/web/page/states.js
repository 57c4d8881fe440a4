// What the nodes of a graph have come to, and what follows from it for the drawing. Pure.

import {describe} from './tree.js';

/** @typedef {import('./types').TreeNode} TreeNode */
/** @typedef {import('./types').States} States */
/** @typedef {import('./types').Wait} Wait */

/** @type {Record<string, string>} */
const NAMES = {p: 'pending', r: 'running', c: 'completed', f: 'failed', s: 'skipped', l: 'stopped', t: 'stopped', x: 'stopped'};

/** Why a node was stopped. @type {Record<string, string>} */
export const STOPPED = {l: 'another branch ended first', t: 'the time limit around it ran out', x: 'the instance ended'};

/**
 * The state of each node by its number: pending, running, waiting, completed, failed, skipped or stopped.
 * @param {TreeNode[]} nodes @param {States|null} states @param {Wait[]} waits
 */
export function nodeStates(nodes, states, waits) {
  const waiting = new Set(waits.map((wait) => wait.node));
  return nodes.map((node) => {
    const state = NAMES[states?.letters[node.i] ?? 'p'] ?? 'pending';
    return state === 'running' && waiting.has(node.id) ? 'waiting' : state;
  });
}

/** The nodes that lead to failures, from the root to the step that failed. @param {TreeNode[]} nodes @param {string[]} state */
export function failedPath(nodes, state) {
  const path = new Set();
  for (const node of nodes) {
    if (state[node.i] !== 'failed' || node.children.some((child) => state[child] === 'failed')) continue;
    path.add(node.i);
    // A failure that was handled leads no further up than to what handled it.
    for (let p = node.parent; p >= 0 && state[p] === 'failed'; p = nodes[p].parent) path.add(p);
  }
  return path;
}

/** The step that failed first in the order of the text; -1 where none has. @param {TreeNode[]} nodes @param {string[]} state */
export function firstFailure(nodes, state) {
  const leaf = nodes.find((node) => state[node.i] === 'failed' && !node.children.some((child) => state[child] === 'failed'));
  return leaf ? leaf.i : -1;
}

/** How many of the leaves of some nodes are in which state. @param {TreeNode[]} nodes @param {string[]} state
 * @param {number[]} roots @returns {Record<string, number>} */
export function leafCounts(nodes, state, roots) {
  /** @type {Record<string, number>} */
  const counts = {};
  for (const root of roots) {
    for (let i = root; i <= nodes[root].last; i++) {
      if (!nodes[i].children.length) counts[state[i]] = (counts[state[i]] ?? 0) + 1;
    }
  }
  return counts;
}

/** Counts in words, what needs attention first. @param {Record<string, number>} counts */
export function countWords(counts) {
  const order = ['failed', 'running', 'waiting', 'completed', 'stopped', 'pending', 'skipped'];
  return order.filter((name) => counts[name]).map((name) => `${counts[name]} ${name}`).join(', ');
}

/** What is folded into a frame: rows, iterations, attempts. @param {TreeNode} node @param {States|null} states */
export function foldedWords(node, states) {
  if (!states) return '';
  const rows = states.rows[node.id];
  if (rows) {
    const busy = rows.total - rows.done - rows.failed;
    const parts = [`${rows.done}/${rows.total} rows`];
    if (rows.failed) parts.push(`${rows.failed} failed`);
    else if (busy > 0) parts.push(`${busy} to go`);
    return parts.join(' · ');
  }
  const iterations = states.iterations[node.id];
  if (iterations) return `iteration ${iterations + 1}`;
  const attempts = states.attempts[node.id];
  return attempts ? `attempt ${attempts}` : '';
}

/** The steps that a rerun from a node would run, as texts. @param {TreeNode[]} nodes @param {number} from */
export function stepsFrom(nodes, from) {
  return nodes.filter((node) => node.i >= from && !node.children.length).map((node) => {
    const {kind, text} = describe(node);
    return kind === 'SQL' ? text : `${kind} ${text}`.trim();
  });
}
