// A list of rows of one height, of which only those near the visible part are in the page.

import {html, useLayoutEffect, useRef, useState} from './lib.js';

const OVERSCAN = 12; // rows above and below what is seen

/**
 * @param {{count: number, height: number, row: (n: number) => any, label: string, near?: () => void, keep?: number, role?: string, head?: any}} props
 *   near: called when the end comes near; keep: how many rows came above since the list was first shown, so that what
 *   one looks at stays where it is
 */
export function VirtualList({count, height, row, label, near, keep = 0, role = 'list', head}) {
  const ref = useRef(/** @type {HTMLDivElement|null} */ (null));
  const [range, setRange] = useState({from: 0, to: 60});
  const kept = useRef(keep);
  const look = () => {
    const el = ref.current;
    if (!el) return;
    const first = Math.floor(el.scrollTop / height);
    const from = Math.max(0, Math.floor((first - OVERSCAN) / 8) * 8);
    const to = Math.min(count, Math.ceil((first + Math.ceil(el.clientHeight / height) + OVERSCAN) / 8) * 8);
    if (from !== range.from || to !== range.to) setRange({from, to});
    if (near && el.scrollTop + el.clientHeight * 2 > count * height) near();
  };
  useLayoutEffect(() => {
    const el = ref.current;
    if (el && keep > kept.current && el.scrollTop > 0) el.scrollTop += (keep - kept.current) * height;
    kept.current = keep;
    look();
  }, [count, keep]);
  const rows = [];
  for (let n = range.from; n < Math.min(range.to, count); n++) rows.push(row(n));
  return html`<div class="virtual" ref=${ref} onScroll=${look} tabindex="0" role="region" aria-label=${label}>
    <div role=${role === 'rowgroup' ? 'table' : undefined} aria-label=${role === 'rowgroup' ? label : undefined}>
      ${head && html`<div class="virtual-head" role=${role === 'rowgroup' ? role : undefined}>${head}</div>`}
      <div class="virtual-size" role=${role} style=${{height: `${count * height}px`}}>
        <div class="virtual-rows" role="presentation" style=${{transform: `translateY(${range.from * height}px)`}}>${rows}</div></div></div></div>`;
}
