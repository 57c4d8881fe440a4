// A workflow's graph as an array of nodes in preorder, with what each child is to its parent. Pure; no DOM.

/** @typedef {import('./types').GraphNode} GraphNode */
/** @typedef {import('./types').TreeNode} TreeNode */

const PARALLEL = new Set(['JOIN', 'RACE', 'ANY']);
const FRAMES = new Set(['LOOP', 'FOR_EACH', 'RETRY', 'TIMEOUT', 'CATCH', 'LIMIT']);

/** Whether the branches of a node of this type are drawn side by side. @param {string} type */
export const isParallel = (type) => PARALLEL.has(type);

/** Whether a node is drawn as a frame around its children, as a named sequence is too. @param {{type: string, name: string|null}} node */
export const isFrame = ({type, name}) => FRAMES.has(type) || (type === 'THEN' && name !== null);

/**
 * The nodes of a graph with their children, in the preorder in which the server sends them.
 * @param {GraphNode[]} list @returns {TreeNode[]}
 */
export function buildTree(list) {
  /** @type {TreeNode[]} */
  const nodes = list.map((node, i) => ({
    i, id: node.id, type: node.type, text: node.text, name: node.name, cut: node.cut, loops: node.loops ?? 0,
    parent: node.parent ?? -1, slot: 0, role: node.heading ?? '', children: [], depth: 0, last: i,
  }));
  for (const node of nodes) {
    if (node.parent < 0) continue;
    const parent = nodes[node.parent];
    node.depth = parent.depth + 1;
    node.slot = parent.children.length;
    parent.children.push(node.i);
  }
  for (let i = nodes.length - 1; i > 0; i--) {
    const parent = nodes[nodes[i].parent];
    if (parent) parent.last = Math.max(parent.last, nodes[i].last);
  }
  return nodes;
}

/** Whether a node is an IF that runs a step to decide. df.if_rows has no such step. @param {TreeNode[]} nodes @param {TreeNode} node */
export const hasCondition = (nodes, node) =>
  node.type === 'IF' && node.children.length > 0 && nodes[node.children[0]].role === 'condition';

/** The nodes that enclose a node, the outermost first. @param {TreeNode[]} nodes @param {number} i */
export function ancestors(nodes, i) {
  const path = [];
  for (let p = nodes[i].parent; p >= 0; p = nodes[p].parent) path.unshift(p);
  return path;
}

/** One line of a text. @param {string} text */
export const oneLine = (text) => text.replace(/\s+/g, ' ').trim();

/** @type {Record<string, string>} */
const KINDS = {
  SQL: 'SQL', SLEEP: 'Sleep', WAIT_SCHEDULE: 'Schedule', SIGNAL: 'Signal', HTTP: 'HTTP', HTTP_MULTIPART: 'HTTP upload',
  BREAK: 'Break', FAIL: 'Fail', IF: 'If', THEN: 'Then', JOIN: 'Join', RACE: 'Race', ANY: 'Any', LOOP: 'Loop',
  FOR_EACH: 'For each', RETRY: 'Retry', TIMEOUT: 'Timeout', CATCH: 'Catch', LIMIT: 'Limit',
};

/** @type {Record<string, string>} */
const MEANING = {JOIN: 'waits for all', RACE: 'first to end', ANY: 'first to succeed', CATCH: 'handles a failure', LOOP: 'repeats'};

/**
 * What a node is, in a word or two, and the text that tells it from others.
 * @param {TreeNode} node @returns {{kind: string, text: string}}
 */
export function describe(node) {
  const kind = KINDS[node.type] ?? node.type;
  const text = oneLine(node.text);
  if (node.type === 'SQL') return {kind, text};
  // The server's text begins with the kind: SLEEP 0.2s, WAIT '0 3 * * *', FOR EACH item (max 10).
  const rest = text.replace(/^(SLEEP|WAIT|SIGNAL|HTTP_MULTIPART|HTTP|FOR EACH|RETRY|TIMEOUT|LIMIT|FAIL|IF|THEN|JOIN|RACE|ANY|LOOP|CATCH|BREAK:?)\s*/, '');
  if (node.type === 'SIGNAL' || node.type === 'WAIT_SCHEDULE' || node.type === 'FAIL') {
    return {kind, text: rest.replace(/^'(.*)'( \(.*\))?$/, '$1$2')};
  }
  if (MEANING[node.type]) return {kind, text: MEANING[node.type]};
  return {kind, text: rest};
}
