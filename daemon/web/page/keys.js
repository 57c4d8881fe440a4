// Keys that work everywhere, and those of the screen that is shown.

import {html, useEffect, useRef} from './lib.js';
import {go, listLink} from './route.js';
import {closeDialog, dialog, Dialog} from './ui.js';

/** @typedef {Record<string, (event: KeyboardEvent) => void>} Bindings by key, or 'g i' for one after another */

/** @type {Bindings[]} */
const screens = [];
let prefix = '';
let prefixTimer = 0;

/** Goes to a field and selects what is in it. @param {string} selector */
function focusField(selector) {
  const field = /** @type {HTMLInputElement|null} */ (document.querySelector(selector));
  field?.focus();
  field?.select();
  return !!field;
}

/** @type {Bindings} */
const everywhere = {
  '?': () => {
    dialog.value = html`<${Help} />`;
  },
  '/': () => {
    if (focusField('#search')) return;
    go(listLink());
    setTimeout(() => focusField('#search'), 50);
  },
  'g o': () => go('#/'),
  'g i': () => go(listLink()),
  'g w': () => go('#/waiting'),
  'g k': () => go('#/workers'),
  'g a': () => go('#/about'),
};

/** @param {KeyboardEvent} event */
function onKey(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || dialog.peek()) return;
  if (target.closest('input, textarea, select')) {
    if (event.key === 'Escape') target.blur();
    return;
  }
  if (event.key === 'Enter' && target.closest('a, button, [role=treeitem]')) return;
  const key = prefix ? `${prefix} ${event.key}` : event.key;
  prefix = '';
  const found = [...screens].reverse().find((bindings) => bindings[key])?.[key] ?? everywhere[key];
  if (found) {
    event.preventDefault();
    found(event);
  } else if (event.key === 'g') {
    prefix = 'g';
    clearTimeout(prefixTimer);
    prefixTimer = setTimeout(() => {
      prefix = '';
    }, 1500);
  }
}

/** Call once. */
export const followKeys = () => addEventListener('keydown', onKey);

/** The keys of a screen, while it is shown. @param {Bindings} bindings */
export function useKeys(bindings) {
  const current = useRef(bindings);
  current.current = bindings;
  useEffect(() => {
    /** @type {Bindings} */
    const mine = {};
    for (const key of Object.keys(bindings)) mine[key] = (event) => current.current[key]?.(event);
    screens.push(mine);
    return () => {
      screens.splice(screens.indexOf(mine), 1);
    };
  }, []);
}

const HELP = [
  ['Everywhere', [['/', 'search'], ['g o', 'overview'], ['g i', 'instances'], ['g w', 'waiting'], ['g k', 'workers'],
    ['g a', 'about'], ['?', 'this help'], ['Esc', 'close']]],
  ['In a list', [['j', 'next'], ['k', 'previous'], ['Enter', 'open'], ['x', 'select'], ['n', 'show new rows']]],
  ['An instance', [['1 … 6', 'its tabs'], ['↑ ↓ ← →', 'walk the graph'], ['Enter', 'open the node, or fold and unfold'],
    ['f', 'the first failure'], ['Esc', 'close the node']]],
];

function Help() {
  return html`<${Dialog} title="Keys" close=${closeDialog}>
    <div class="help">${HELP.map(([title, keys]) => html`<section><h3>${title}</h3><dl>${/** @type {string[][]} */ (keys).map(([key, what]) =>
      html`<div><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl></section>`)}</div>
  <//>`;
}
