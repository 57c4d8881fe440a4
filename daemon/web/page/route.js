// The address is the state: which screen, which filter, which node. Everything after the # is ours.

import {signal} from './lib.js';

/** @typedef {{screen: string, id?: string, tab?: string, node?: string, query: Record<string, string>}} Route */

export const TABS = ['graph', 'timeline', 'history', 'text', 'signals', 'reruns'];
const SCREENS = new Set(['instances', 'waiting', 'workers', 'about']);

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {string} hash with its # @returns {Route} */
export function parse(hash) {
  const [path, search = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const parts = path.split('/').filter(Boolean).map(decode);
  const query = Object.fromEntries(new URLSearchParams(search));
  if (parts[0] === 'i' && parts[1]) {
    const tab = TABS.includes(parts[2]) ? parts[2] : 'graph';
    const at = parts.indexOf('n', 2);
    return {screen: 'instance', id: parts[1], tab, node: at > 0 ? parts[at + 1] : undefined, query};
  }
  if (parts[0] === 'label' && parts[1]) return {screen: 'label', id: parts[1], query};
  return {screen: SCREENS.has(parts[0]) ? parts[0] : 'overview', query};
}

/** @param {Record<string, string|undefined>} query */
function search(query) {
  const used = Object.entries(query).filter(([, value]) => value);
  return used.length ? '?' + new URLSearchParams(/** @type {[string, string][]} */ (used)) : '';
}

/** @param {string} id @param {string} [tab] @param {string} [node] */
export const instanceLink = (id, tab = 'graph', node) =>
  `#/i/${encodeURIComponent(id)}${tab === 'graph' ? '' : '/' + tab}${node ? '/n/' + encodeURIComponent(node) : ''}`;
/** @param {Record<string, string|undefined>} [query] */
export const listLink = (query = {}) => '#/instances' + search(query);
/** @param {string} label */
export const labelLink = (label) => '#/label/' + encodeURIComponent(label);

/** Where the person is. */
export const route = signal(parse(typeof location === 'undefined' ? '' : location.hash));

/** Goes to an address as a link does. @param {string} hash */
export function go(hash) {
  if (location.hash !== hash) location.hash = hash;
}

/** Changes the address without a step in the browser's history. @param {string} hash */
export function replace(hash) {
  history.replaceState(history.state, '', hash);
  route.value = parse(hash);
}

/** Follows the address; call once. */
export function followAddress() {
  addEventListener('hashchange', () => {
    route.value = parse(location.hash);
  });
}
