// The runs of one label: how long they take, and how many succeed.

import {duration} from './format.js';
import {html} from './lib.js';
import {instanceLink, listLink} from './route.js';
import {Ago, Badge, Empty, Took, useAnswer} from './ui.js';

/** A bar for each run, as high as it took long, on a scale that lets short runs be seen. @param {{runs: any[]}} props */
function Strip({runs}) {
  const most = Math.max(1, ...runs.map((run) => run.duration_ms ?? 0));
  /** @param {number} ms */
  const height = (ms) => 8 + 72 * Math.sqrt(ms / most);
  return html`<nav class="strip" aria-label="The last runs, oldest first">${[...runs].reverse().map((run) =>
    html`<a key=${run.id} href=${instanceLink(run.id)} class=${'s-' + run.status} style=${{height: `${height(run.duration_ms ?? 0)}px`}}
      title=${`${run.id} ${run.status}${run.duration_ms === null ? '' : ', ' + duration(run.duration_ms)}`}
      aria-label=${`${run.id} ${run.status}`} />`)}</nav>`;
}

/** @param {{label: string}} props */
export function Label({label}) {
  const {data: d, status} = useAnswer('label', 5000, {label});
  return html`<section class="screen"><header class="screen-head"><h1><span class="dim">Label</span> ${label}</h1>
      <div class="head-tools"><a class="button" href=${listLink({label})}>Show in the list</a></div></header>
    ${status}${d && !d.runs.length && html`<${Empty} icon="instances" title="No run has this label"><p><a href=${listLink()}>See all instances</a></p><//>`}
    ${d && d.runs.length > 0 && html`
      <div class="cards">
        <div class="card"><span class="card-name">Success</span><b>${d.success === null ? '–' : `${Math.round(d.success * 1000) / 10} %`}</b><span class="card-note">of those that ended</span></div>
        <div class="card"><span class="card-name">Half take less than</span><b>${d.p50_ms === null ? '–' : duration(d.p50_ms)}</b><span class="card-note">median</span></div>
        <div class="card"><span class="card-name">95 % take less than</span><b>${d.p95_ms === null ? '–' : duration(d.p95_ms)}</b><span class="card-note">of the last ${d.runs.length}</span></div>
        <div class="card"><span class="card-name">Last success</span><b><${Ago} at=${d.last_success_at} /></b><span class="card-note">completed</span></div>
      </div>
      <section class="panel"><h2>The last ${d.runs.length} runs</h2><${Strip} runs=${d.runs} /></section>
      <table class="rows runs"><caption class="offscreen">Runs, newest first</caption>
        <thead><tr><th>Status</th><th>Instance</th><th>Created</th><th class="num">Duration</th></tr></thead>
        <tbody>${d.runs.map((/** @type {any} */ run) => html`<tr key=${run.id}><td class="c-status"><${Badge} status=${run.status} /></td>
          <td class="c-what"><a class="main" href=${instanceLink(run.id)}>${run.id}</a></td><td class="c-created"><${Ago} at=${run.created_at} /></td>
          <td class="c-took num"><${Took} from=${run.created_at} to=${run.completed_at} ms=${run.duration_ms} /></td></tr>`)}</tbody></table>`}
  </section>`;
}
