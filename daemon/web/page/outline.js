// The same tree as a nested list: what a screen reader reads, and what fits a narrow screen.

import {initialFold} from './layout.js';
import {html, signal, useEffect, useMemo, useRef} from './lib.js';
import {go, instanceLink, route} from './route.js';
import {countWords, foldedWords, leafCounts} from './states.js';
import {ancestors, describe} from './tree.js';
import {Icon} from './ui.js';

/** @typedef {import('./types').TreeNode} TreeNode */

const OPEN_AT_FIRST = 400;
const OUTLINE_SIBLINGS = 200;

/** @param {{nodes: TreeNode[], state: string[], states: import('./types').States|null, id: string, selected: number}} props */
export function Outline({nodes, state, states, id, selected}) {
  const view = useMemo(() => ({
    closed: signal(initialFold(nodes, OPEN_AT_FIRST)), opened: signal(new Set(/** @type {number[]} */ ([]))), current: signal(Math.max(0, selected)),
  }), [nodes]);
  const ref = useRef(/** @type {HTMLElement|null} */ (null));
  const closed = view.closed.value;
  useEffect(() => {
    if (selected < 0) return;
    const outer = ancestors(nodes, selected);
    view.current.value = selected;
    view.closed.value = new Set([...view.closed.peek()].filter((p) => !outer.includes(p)));
    view.opened.value = new Set([...view.opened.peek(), ...outer.filter((p) => nodes[p].children.length > OUTLINE_SIBLINGS)]);
  }, [selected, nodes]);

  /** @param {number} i @param {boolean} open */
  const setOpen = (i, open) => {
    const next = new Set(closed);
    if (open) next.delete(i); else next.add(i);
    view.closed.value = next;
  };
  /** @param {number} i */
  const focus = (i) => {
    view.current.value = i;
    requestAnimationFrame(() => /** @type {HTMLElement|null} */ (document.getElementById(`o-${i}`))?.focus());
  };
  const shown = () => [.../** @type {HTMLElement} */ (ref.current).querySelectorAll('[role=treeitem]')].map((el) => Number(el.id.slice(2)));
  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const i = view.current.value;
    const order = shown();
    const at = order.indexOf(i);
    const parent = nodes[i].children.length && !closed.has(i);
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowDown: () => focus(order[Math.min(order.length - 1, at + 1)]),
      ArrowUp: () => focus(order[Math.max(0, at - 1)]),
      Home: () => focus(order[0]),
      End: () => focus(order[order.length - 1]),
      ArrowRight: () => (nodes[i].children.length && closed.has(i) ? setOpen(i, true) : focus(order[Math.min(order.length - 1, at + 1)])),
      ArrowLeft: () => (parent ? setOpen(i, false) : nodes[i].parent >= 0 && focus(nodes[i].parent)),
      Enter: () => go(instanceLink(id, route.value.tab, nodes[i].id)),
      ' ': () => go(instanceLink(id, route.value.tab, nodes[i].id)),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  };
  /** @param {number} i @returns {any} */
  const item = (i) => {
    const node = nodes[i];
    const {kind, text} = describe(node);
    const parent = node.children.length > 0;
    const open = parent && !closed.has(i);
    const kids = view.opened.value.has(i) ? node.children : node.children.slice(0, OUTLINE_SIBLINGS);
    const words = parent && !open ? countWords(leafCounts(nodes, state, [i])) : foldedWords(node, states);
    return html`<li key=${i} role="none">
      <div role="treeitem" id=${`o-${i}`} class=${`o-line st-${state[i]}${i === selected ? ' sel' : ''}`} tabindex=${i === view.current.value ? 0 : -1}
        aria-level=${node.depth + 1} aria-expanded=${parent ? open : undefined} aria-selected=${i === selected} aria-owns=${open ? `o-${i}-in` : undefined}
        onFocus=${() => { view.current.value = i; }} onClick=${() => go(instanceLink(id, route.value.tab, node.id))}>
        ${parent ? html`<span class="o-fold" aria-hidden="true" onClick=${(/** @type {Event} */ e) => { e.stopPropagation(); setOpen(i, !open); }}><${Icon} name=${open ? 'down' : 'right'} /></span>`
          : html`<span class="o-fold" />`}
        <${Icon} name=${state[i]} label=${state[i]} />${node.role && html`<span class="o-role">${node.role}</span>`}
        <span class="box-kind">${kind}</span><span class="o-text">${text}</span>${node.name && html`<span class="box-name">$${node.name}</span>`}
        ${words && html`<span class="frame-badge">${words}</span>`}</div>
      ${open && html`<ul role="group" id=${`o-${i}-in`}>${kids.map(item)}${kids.length < node.children.length && html`<li role="none"><button type="button" class="quiet"
        onClick=${() => { view.opened.value = new Set([...view.opened.value, i]); }}>${`${node.children.length - kids.length} more`}</button></li>`}</ul>`}</li>`;
  };
  return html`<div class="outline" ref=${ref} onKeyDown=${onKey}><ul role="tree" aria-label="The workflow">${item(0)}</ul></div>`;
}
