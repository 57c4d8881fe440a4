// The daemons that serve the database.

import {count, duration} from './format.js';
import {html} from './lib.js';
import {Ago, Badge, Empty, useAnswer} from './ui.js';

/** @typedef {import('./types').Worker} Worker */

/** @param {{workers: Worker[]}} props */
export const WorkerTable = ({workers}) => html`<table class="rows workers"><caption class="offscreen">Workers</caption>
  <thead><tr><th>State</th><th>Name</th><th class="wide">Host</th><th>Version</th><th>Started</th><th>Heard</th><th class="num">Holds</th></tr></thead>
  <tbody>${workers.map((w) => html`<tr key=${w.id}>
    <td class="c-status"><${Badge} status=${w.alive ? 'completed' : 'failed'} word=${w.alive ? 'alive' : 'silent'} /></td>
    <td class="c-what"><span class="main">${w.name}</span> <span class="id">${w.id}</span></td>
    <td class="wide c-host"><span class="dim">on</span> ${w.host} <span class="dim">process ${w.pid}</span></td><td class="c-version">${w.version}</td>
    <td class="c-created"><${Ago} at=${w.started_at} /></td>
    <td class="c-heard" title=${w.last_seen_at}>${w.silent_seconds < 1 ? 'now' : `${duration(w.silent_seconds * 1000)} ago`}</td>
    <td class="num c-held">${count(w.held)}<span class="narrow"> held</span></td></tr>`)}</tbody></table>`;

export function Workers() {
  const {data, status} = useAnswer('workers', 3000);
  return html`<section class="screen"><header class="screen-head"><h1>Workers</h1></header>
    ${status}${data && !data.workers.length && html`<${Empty} icon="workers" title="No daemon has registered">
      <p>Instances wait until one does. Start it with <code>durabled run --config durabled.yaml</code>; <code>durabled doctor</code> says what it lacks.</p><//>`}
    ${data?.workers.length ? html`<${WorkerTable} workers=${data.workers} />
      <p class="dim">A worker that is silent for longer than its lease loses what it holds to the others.</p>` : null}
  </section>`;
}
