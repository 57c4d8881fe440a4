// The drawing of a graph. Only what is near the visible part is in the page, so that its size does not matter.
//
// Positions are set by the style object, never by markup: the content policy forbids style attributes.

import {count, plural} from './format.js';
import {initialFold, layout} from './layout.js';
import {html, signal, useEffect, useLayoutEffect, useMemo, useRef} from './lib.js';
import {Outline} from './outline.js';
import {go, instanceLink, replace, route} from './route.js';
import {countWords, failedPath, firstFailure, foldedWords, leafCounts} from './states.js';
import {ancestors, describe, isFrame} from './tree.js';
import {Icon} from './ui.js';

/** @typedef {import('./types').TreeNode} TreeNode */
/** @typedef {import('./types').Box} Box */
/** @typedef {import('./types').Edge} Edge */
/** @typedef {import('./types').InstanceDetail} Detail */

const CELL = 400; // how far one scrolls until other boxes are put into the page
const MARGIN = 24;
const ROUND = 8;
const ZOOMS = [0.2, 0.35, 0.5, 0.65, 0.8, 1, 1.25, 1.6];

/** A line down, sideways, and down, with round corners. @param {Edge} e */
function pathOf(e) {
  if (Math.abs(e.x1 - e.x2) < 1) return `M${e.x1} ${e.y1}V${e.y2}`;
  const side = Math.sign(e.x2 - e.x1);
  const r = Math.min(ROUND, Math.abs(e.x2 - e.x1) / 2, e.turn - e.y1, Math.max(0, e.y2 - e.turn));
  return `M${e.x1} ${e.y1}V${e.turn - r}q0 ${r} ${side * r} ${r}H${e.x2 - side * r}q${side * r} 0 ${side * r} ${r}V${e.y2}`;
}

/** The state of what an edge leads to. @param {Edge} edge @param {TreeNode[]} nodes @param {string[]} state */
function edgeState(edge, nodes, state) {
  if (edge.to >= 0) return state[edge.to];
  const node = nodes[-1 - edge.to]; // an IF without an else
  const then = state[node.children[node.children.length - 1]];
  return state[node.i] === 'completed' && then === 'skipped' ? 'completed' : then === 'pending' ? 'pending' : 'skipped';
}

/** @param {{box: Box, node: TreeNode, state: string, link: string, selected: boolean, current: boolean, failed: boolean,
 *   words: string, rows?: {total: number, done: number, failed: number}, toggle: () => void, root: string}} props */
function BoxView({box, node, state, link, selected, current, failed, words, rows, toggle, root}) {
  const at = {left: `${box.x}px`, top: `${box.y}px`, width: `${box.w}px`, height: `${box.h}px`};
  const classes = `box ${box.kind} st-${state}${selected ? ' sel' : ''}${current ? ' cur' : ''}${failed ? ' path' : ''}`;
  const {kind, text} = describe(node);
  const id = `${root}-${node.i}${box.kind === 'more' ? '-more' : ''}`;
  if (box.kind === 'meet') return html`<i class=${classes} style=${at} />`;
  if (box.kind === 'more') {
    return html`<button type="button" tabindex="-1" id=${id} class=${classes} style=${at} onClick=${toggle}>
      <span class="box-kind">${count(node.children.length - (box.from ?? 0))} more</span><span class="box-text">${words}</span></button>`;
  }
  const name = node.name && html`<span class="box-name" title="the name of its result">$${node.name}</span>`;
  if (box.kind === 'frame') {
    return html`<div class=${classes} style=${at}><a id=${id} class="frame-title" href=${link} tabindex="-1" title=${node.text}><${Icon} name=${state} label=${state} />
        <span class="box-kind">${kind}</span><span class="box-text">${text}</span>${name}${words && html`<span class="frame-badge">${words}</span>`}</a>
      ${rows && html`<progress class="s-running" max=${Math.max(1, rows.total)} value=${rows.done + rows.failed} aria-label="rows" />`}
      <button type="button" tabindex="-1" class="frame-fold quiet icon-only" onClick=${toggle} aria-label="Fold"><${Icon} name="minus" /></button></div>`;
  }
  return html`<a id=${id} class=${classes} style=${at} href=${link} tabindex="-1" title=${node.text} draggable=${false}>
    <span class="box-line"><${Icon} name=${state} label=${state} /><span class="box-kind">${node.role === 'condition' ? `if ${kind}` : kind}</span>${box.kind === 'head' && html`<span class="box-text">${text}</span>`}
      ${name}${box.kind !== 'fold' && words && html`<span class="frame-badge">${words}</span>`}</span>
    ${box.kind === 'leaf' && html`<span class="box-text">${text}</span>`}
    ${box.kind === 'fold' && html`<span class="box-text">${words}</span>`}
    ${box.kind === 'fold' && html`<button type="button" tabindex="-1" class="frame-fold quiet icon-only" aria-label="Unfold"
      onClick=${(/** @type {Event} */ e) => { e.preventDefault(); toggle(); }}><${Icon} name="plus" /></button>`}</a>`;
}

/** What is folded, which part is seen, and how large. @param {TreeNode[]} nodes */
function makeView(nodes) {
  return {
    folded: signal(initialFold(nodes)),
    opened: signal(new Set(/** @type {number[]} */ ([]))),
    zoom: signal(0),
    part: signal({x: 0, y: 0, w: 1600, h: 1200}),
    current: signal(-1),
    outline: signal(typeof innerWidth === 'number' && innerWidth < 640),
  };
}

/** Unfolds what encloses a node. @param {ReturnType<typeof makeView>} view @param {TreeNode[]} nodes @param {number} i */
function reveal(view, nodes, i) {
  const outer = ancestors(nodes, i);
  if (outer.some((p) => view.folded.value.has(p))) view.folded.value = new Set([...view.folded.value].filter((p) => !outer.includes(p)));
  const hidden = outer.filter((p) => nodes[p].children.length > 20);
  if (hidden.some((p) => !view.opened.value.has(p))) view.opened.value = new Set([...view.opened.value, ...hidden]);
}

/** @param {{nodes: TreeNode[], state: string[], detail: Detail, selected: number}} props */
export function Graph({nodes, state, detail, selected}) {
  const id = detail.instance.id;
  const view = useMemo(() => makeView(nodes), [nodes]);
  const ref = useRef(/** @type {HTMLDivElement|null} */ (null));
  const folded = view.folded.value;
  const opened = view.opened.value;
  const drawn = useMemo(() => layout(nodes, {folded, opened}), [nodes, folded, opened]);
  const path = useMemo(() => failedPath(nodes, state), [nodes, state]);
  const boxOf = useMemo(() => {
    /** @type {Map<number, Box>} */
    const boxes = new Map();
    for (const box of drawn.boxes) if (box.kind !== 'meet' && box.kind !== 'more') boxes.set(box.i, box);
    return boxes;
  }, [drawn]);
  const zoom = view.zoom.value || 1;
  const failure = firstFailure(nodes, state);

  const look = () => {
    const el = ref.current;
    if (!el) return;
    const old = view.part.peek();
    const z = view.zoom.peek() || 1;
    const x = Math.floor(el.scrollLeft / z / CELL - 1) * CELL;
    const y = Math.floor(el.scrollTop / z / CELL - 1) * CELL;
    const w = Math.ceil(el.clientWidth / z / CELL + 3) * CELL;
    const h = Math.ceil(el.clientHeight / z / CELL + 3) * CELL;
    if (old.x !== x || old.y !== y || old.w !== w || old.h !== h) view.part.value = {x, y, w, h};
  };
  /** @param {number} i */
  const showNode = (i) => {
    const el = ref.current;
    const box = boxOf.get(i);
    if (!el || !box) return;
    const z = view.zoom.peek() || 1;
    const left = (box.x + MARGIN) * z;
    const top = (box.y + MARGIN) * z;
    const w = Math.min(box.w, 300) * z;
    const h = Math.min(box.h, 120) * z;
    if (left < el.scrollLeft || left + w > el.scrollLeft + el.clientWidth) el.scrollLeft = left + w / 2 - el.clientWidth / 2;
    if (top < el.scrollTop || top + h > el.scrollTop + el.clientHeight) el.scrollTop = top + h / 2 - el.clientHeight / 2;
    look();
  };
  useLayoutEffect(() => {
    const el = ref.current;
    if (!el || view.outline.value) return undefined;
    if (!view.zoom.peek()) {
      view.zoom.value = Math.max(0.5, Math.min(1, (el.clientWidth - 8) / (drawn.w + 2 * MARGIN)));
      el.scrollLeft = ((drawn.w + 2 * MARGIN) * view.zoom.peek() - el.clientWidth) / 2;
    }
    look();
    const observer = new ResizeObserver(look);
    observer.observe(el);
    return () => observer.disconnect();
  }, [nodes, view.outline.value]);
  useEffect(look, [zoom, drawn]);
  useEffect(() => {
    if (selected < 0) return;
    view.current.value = selected;
    reveal(view, nodes, selected);
  }, [selected, nodes]);
  useEffect(() => {
    if (selected >= 0) showNode(selected);
  }, [selected, drawn]);

  /** @param {number} i */
  const toggleFold = (i) => {
    const next = new Set(folded);
    if (!next.delete(i)) next.add(i);
    view.folded.value = next;
    view.current.value = i;
  };
  /** @param {number} step */
  const zoomBy = (step) => {
    const at = ZOOMS.findIndex((z) => z >= zoom - 0.01);
    view.zoom.value = ZOOMS[Math.max(0, Math.min(ZOOMS.length - 1, (at < 0 ? ZOOMS.length - 1 : at) + step))];
  };
  const fit = () => {
    const el = ref.current;
    if (el) view.zoom.value = Math.max(0.2, Math.min(1, (el.clientWidth - 8) / (drawn.w + 2 * MARGIN), (el.clientHeight - 8) / (drawn.h + 2 * MARGIN)));
  };
  /** @param {number} i */
  const moveTo = (i) => {
    view.current.value = i;
    showNode(i);
    if (selected >= 0) replace(instanceLink(id, route.value.tab, nodes[i].id));
  };
  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const order = [...boxOf.keys()].sort((a, b) => a - b);
    const i = boxOf.has(view.current.value) ? view.current.value : -1;
    const at = order.indexOf(i);
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowDown: () => moveTo(order[Math.min(order.length - 1, at + 1)]),
      ArrowUp: () => moveTo(order[Math.max(0, at - 1)]),
      Home: () => moveTo(order[0]),
      End: () => moveTo(order[order.length - 1]),
      ArrowRight: () => (i >= 0 && folded.has(i) ? toggleFold(i) : moveTo(order[Math.min(order.length - 1, at + 1)])),
      ArrowLeft: () => {
        const outer = i >= 0 ? ancestors(nodes, i).reverse().find((p) => boxOf.has(p)) : undefined;
        if (i >= 0 && isFrame(nodes[i]) && !folded.has(i)) toggleFold(i);
        else if (outer !== undefined) moveTo(outer);
      },
      Enter: () => i >= 0 && go(instanceLink(id, route.value.tab, nodes[i].id)),
      ' ': () => i >= 0 && nodes[i].children.length && toggleFold(i),
      '+': () => zoomBy(1), '-': () => zoomBy(-1), '0': fit,
    };
    const key = keys[event.key];
    if (!key) return;
    event.preventDefault();
    event.stopPropagation();
    key();
  };
  /** @param {WheelEvent} event */
  const onWheel = (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoomBy(event.deltaY < 0 ? 1 : -1);
  };
  const drag = useDrag(ref);

  const {x, y, w, h} = view.part.value;
  /** @param {number} left @param {number} top @param {number} right @param {number} bottom */
  const seen = (left, top, right, bottom) => left < x + w && right > x && top < y + h && bottom > y;
  const outline = view.outline.value;
  const tools = html`<div class="graph-tools">
    <div class="segmented" role="group" aria-label="View"><button type="button" aria-pressed=${!outline} onClick=${() => { view.outline.value = false; }}>Graph</button>
      <button type="button" aria-pressed=${outline} onClick=${() => { view.outline.value = true; }}>Outline</button></div>
    ${failure >= 0 && html`<a class="button bad" href=${instanceLink(id, 'graph', nodes[failure].id)}><${Icon} name="failed" />The failure</a>`}
    <span class="dim">${plural(nodes.length, 'node')}${folded.size ? `, ${folded.size} folded` : ''}</span>
    ${!outline && html`<span class="zoom"><button type="button" class="quiet icon-only" aria-label="Smaller" onClick=${() => zoomBy(-1)}><${Icon} name="minus" /></button>
      <span class="num">${Math.round(zoom * 100)} %</span><button type="button" class="quiet icon-only" aria-label="Larger" onClick=${() => zoomBy(1)}><${Icon} name="plus" /></button>
      <button type="button" class="quiet icon-only" aria-label="Fit into the view" onClick=${fit}><${Icon} name="fit" /></button></span>`}</div>`;
  if (outline) return html`<div class="graph-frame">${tools}<${Outline} nodes=${nodes} state=${state} states=${detail.states} id=${id} selected=${selected} /></div>`;
  const full = {w: drawn.w + 2 * MARGIN, h: drawn.h + 2 * MARGIN};
  return html`<div class="graph-frame">${tools}<div class="graph" ref=${ref} tabindex="0" role="group" aria-label="The graph of the workflow. The arrow keys walk it; the outline has the same as a tree."
      aria-activedescendant=${boxOf.has(view.current.value) ? `g-${view.current.value}` : undefined} onScroll=${look} onKeyDown=${onKey} onWheel=${onWheel} ...${drag}>
    <div class="graph-size" style=${{width: `${full.w * zoom}px`, height: `${full.h * zoom}px`}}>
      <div class="graph-canvas" style=${{transform: `scale(${zoom}) translate(${MARGIN}px, ${MARGIN}px)`}}>
        <svg class="edges" aria-hidden="true" style=${{left: `${x}px`, top: `${y}px`, width: `${w}px`, height: `${h}px`}} viewBox=${`${x} ${y} ${w} ${h}`}>
          ${drawn.edges.filter((e) => seen(Math.min(e.x1, e.x2), e.y1, Math.max(e.x1, e.x2) + 1, e.y2)).map((e) => html`<path key=${`${e.x1} ${e.y1} ${e.x2} ${e.y2}`} d=${pathOf(e)}
            class=${`edge st-${edgeState(e, nodes, state)}${path.has(e.to) ? ' path' : ''}`} />${e.label && html`<text x=${e.x2 + 6} y=${e.y2 - 5}>${e.label}</text>`}`)}
        </svg>
        ${drawn.boxes.filter((b) => seen(b.x, b.y, b.x + b.w, b.y + b.h)).map((box) => {
          const node = nodes[box.i];
          const hiddenKids = box.kind === 'more' ? node.children.slice(box.from) : box.kind === 'fold' ? [box.i] : null;
          const toggle = box.kind === 'more' ? () => { view.opened.value = new Set([...opened, box.i]); } : () => toggleFold(box.i);
          return html`<${BoxView} key=${box.kind + box.i} root="g" box=${box} node=${node} state=${state[box.i]} toggle=${toggle}
            link=${instanceLink(id, 'graph', node.id)} selected=${box.i === selected} current=${box.i === view.current.value} failed=${path.has(box.i)}
            rows=${detail.states?.rows[node.id]} words=${hiddenKids ? countWords(leafCounts(nodes, state, hiddenKids)) : foldedWords(node, detail.states)} />`;
        })}
      </div></div></div></div>`;
}

/** Moves the drawing by dragging its background. @param {{current: HTMLElement|null}} ref */
function useDrag(ref) {
  const from = useRef(/** @type {{x: number, y: number, left: number, top: number}|null} */ (null));
  return {
    onPointerDown: (/** @type {PointerEvent} */ event) => {
      const el = ref.current;
      if (!el || event.pointerType !== 'mouse' || event.button !== 0 || /** @type {Element} */ (event.target).closest('a, button')) return;
      from.current = {x: event.clientX, y: event.clientY, left: el.scrollLeft, top: el.scrollTop};
      if (event.offsetX < el.clientWidth && event.offsetY < el.clientHeight) el.setPointerCapture(event.pointerId);
    },
    onPointerMove: (/** @type {PointerEvent} */ event) => {
      const el = ref.current;
      if (!el || !from.current) return;
      el.scrollLeft = from.current.left - (event.clientX - from.current.x);
      el.scrollTop = from.current.top - (event.clientY - from.current.y);
    },
    onPointerUp: () => { from.current = null; },
    onPointerCancel: () => { from.current = null; },
  };
}
