// Rows of instances, as the lists of several screens show them.

import {cut, plural} from './format.js';
import {html} from './lib.js';
import {instanceLink, labelLink} from './route.js';
import {Ago, Badge, Icon, shownStatus, Since, Took} from './ui.js';

/** @typedef {import('./types').Row} Row */
/** @typedef {import('./types').Why} Why */

/** Why an instance is where it is, in one line. @param {{why: Why|null, status?: string}} props */
export function WhyLine({why, status}) {
  if (!why || why.kind === 'completed') return null;
  const quiet = why.kind === 'cancelled';
  const text = why.text.replace(/^(failed|cancelled|paused|parked): /, ''); // the status is shown beside it
  return html`<span class=${`why${why.kind === 'failed' || why.kind === 'parked' ? ' bad' : ''}${quiet ? ' dim' : ''}`} title=${why.text}>
    ${why.late && html`<${Icon} name="late" label="late" />`}${cut(text, 300)}
    ${status !== 'failed' && why.since && !quiet && html` · <${Since} at=${why.since} />`}
    ${why.until && html` · ${why.kind === 'retry' ? 'again' : 'until'} <${Ago} at=${why.until} until />`}
    ${why.more > 0 && html` · ${why.more} more`}</span>`;
}

/** How many of an instance's steps are done. @param {{row: Row}} props */
export function Progress({row}) {
  if (!row.nodes || !row.nodes.total) return html`<span class="dim">–</span>`;
  const {done, total} = row.nodes;
  return html`<span class="progress" title=${`${done} of ${plural(total, 'step')} done`}>
    <progress max=${total} value=${done} class=${'s-' + row.status} aria-label="steps done" /><span>${done}/${total}</span></span>`;
}

/**
 * @param {{rows: Row[], current?: number, selected?: Set<string>, toggle?: (id: string, range: boolean) => void,
 *   toggleAll?: () => void, roles?: boolean, gone?: Set<string>, caption: string}} props
 */
export function RowTable({rows, current, selected, toggle, toggleAll, roles = true, gone, caption}) {
  return html`<table class="rows"><caption class="offscreen">${caption}</caption>
    <thead><tr>
      ${toggle && html`<th class="pick"><input type="checkbox" aria-label="Select all that are shown"
        checked=${rows.length > 0 && rows.every((row) => selected?.has(row.id))} onChange=${toggleAll} /></th>`}
      <th class="c-status">Status</th><th class="c-what">Instance</th><th class="c-why">Why</th>${roles && html`<th class="c-role">Role</th>`}
      <th class="c-created">Created</th><th class="c-took num">Duration</th><th class="c-progress">Steps</th></tr></thead>
    <tbody>${rows.map((row, n) => html`<tr key=${row.id} data-row=${row.id}
        class=${`${n === current ? 'current ' : ''}${selected?.has(row.id) ? 'selected ' : ''}${gone?.has(row.id) ? 'gone' : ''}`}>
      ${toggle && html`<td class="pick"><input type="checkbox" checked=${!!selected?.has(row.id)} aria-label=${`Select ${row.id}`}
        onClick=${(/** @type {MouseEvent} */ event) => toggle(row.id, event.shiftKey)} /></td>`}
      <td class="c-status"><${Badge} status=${shownStatus(row)} /></td>
      <td class="c-what"><a class="main" href=${instanceLink(row.id)}>${row.label ?? html`<span class="dim">no label</span>`}</a>
        <span class="id">${row.id}</span>${row.label && html`<a class="more" href=${labelLink(row.label)}
          title=${`All runs of ${row.label}`} aria-label=${`All runs of ${row.label}`}><${Icon} name="right" /></a>`}</td>
      <td class="c-why"><${WhyLine} why=${row.why} status=${row.status} /></td>
      ${roles && html`<td class="c-role">${row.role ?? html`<span class="dim">dropped</span>`}</td>`}
      <td class="c-created"><${Ago} at=${row.created_at} /></td>
      <td class="c-took num"><${Took} from=${row.started_at} to=${row.completed_at} ms=${row.duration_ms} /></td>
      <td class="c-progress"><${Progress} row=${row} /></td></tr>`)}</tbody></table>`;
}
