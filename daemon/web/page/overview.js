// What happens now, what has failed, and what waits for a person.

import {clock, count, plural} from './format.js';
import {html, useEffect} from './lib.js';
import {watch} from './live.js';
import {instanceLink, listLink} from './route.js';
import {Ago, Copy, Empty, Icon, useAnswer} from './ui.js';
import {WaitTable} from './waiting.js';
import {WorkerTable} from './workers.js';

const FIRST = `INSERT INTO df.submit (label, dsl) VALUES ('hello', $$
   'SELECT 42 AS answer' |=> 'a'
   ~> df.sleep(5)
   ~> 'SELECT $a + 1 AS next'
$$) RETURNING id;`;

/** What to do where nothing has run yet. */
export const firstSteps = () => html`<${Empty} icon="instances" title="Nothing has run here yet">
  <p>Submit a workflow in psql, as a role that may use the schema df. It appears here at once.</p>
  <div class="snippet"><pre tabindex="0">${FIRST}</pre><${Copy} text=${FIRST} label="Copy the statement" /></div><//>`;

/** @param {{n: {count: number, capped: boolean}|undefined, name: string, icon: string, link?: string, note?: any, bad?: boolean}} props */
const Card = ({n, name, icon, link, note, bad}) => {
  const inner = html`<span class="card-name"><${Icon} name=${icon} />${name}</span>
    <b>${n ? count(n.count) + (n.capped ? '+' : '') : '–'}</b><span class="card-note">${note}</span>`;
  const kind = `card s-${icon}${bad && n && n.count ? ' hot' : ''}`;
  return link ? html`<a class=${kind} href=${link}>${inner}</a>` : html`<div class=${kind}>${inner}</div>`;
};

/** How many instances ended in each of the last 60 minutes. @param {{minutes: number[]}} props */
function Sparkline({minutes}) {
  const most = Math.max(1, ...minutes);
  const step = 600 / minutes.length;
  return html`<svg class="spark" viewBox="0 0 600 64" preserveAspectRatio="none" role="img"
    aria-label=${`ended each minute of the last hour, at most ${most}`}>
    ${minutes.map((n, i) => html`<rect x=${i * step + 1} width=${step - 2} y=${63 - (n / most) * 60} height=${Math.max(1, (n / most) * 60 + 1)}
      class=${n ? '' : 'none'}><title>${`${n} ended ${minutes.length - i} min ago`}</title></rect>`)}</svg>`;
}

/** @param {{failures: any[], capped: boolean}} props */
const Failures = ({failures, capped}) => html`<table class="plain"><caption class="offscreen">What failed most in the last 24 hours</caption>
  <thead><tr><th>Label</th><th>Code</th><th class="num">Count</th><th>Last</th><th class="wide">Message</th></tr></thead>
  <tbody>${failures.map((f) => html`<tr key=${`${f.label} ${f.code}`}>
    <td><a href=${listLink({label: f.label ?? undefined, code: f.code, status: 'failed', since: '24h'})}>${f.label ?? html`<span class="dim">no label</span>`}</a></td>
    <td><code>${f.code}</code></td><td class="num">${count(f.count)}${capped ? '+' : ''}</td>
    <td><a href=${instanceLink(f.last_id)}><${Ago} at=${f.last_at} /></a></td><td class="wide cut" title=${f.message}>${f.message}</td></tr>`)}</tbody></table>`;

export function Overview() {
  const {data: o, status, set} = useAnswer('overview', 0);
  useEffect(() => watch(() => ({overview: 1}), {overview: set}).stop, []);
  if (!o) return status;
  const {pending, running, paused} = o.unfinished;
  const hour = o.ended.hour;
  const ended = hour.completed + hour.failed + hour.cancelled;
  const nothing = !pending.count && !running.count && !paused.count && !ended && !o.failures.length;
  const alive = o.workers.filter((/** @type {any} */ w) => w.alive).length;
  return html`<section class="screen"><header class="screen-head"><h1>Overview</h1></header>
    ${!alive && html`<div class="note bad"><${Icon} name="failed" /><div><p>No daemon serves this database, so nothing goes on.</p>
      <p class="dim">Start one with <code>durabled run</code>, and see <code>durabled doctor</code>.</p></div></div>`}
    <div class="cards">
      <${Card} name="Running" icon="running" n=${running} link=${listLink({status: 'running', since: 'all'})} note="and waiting" />
      <${Card} name="Pending" icon="pending" n=${pending} link=${listLink({status: 'pending', since: 'all'})} note="not begun yet" />
      <${Card} name="Late" icon="late" n=${o.late} link="#/waiting" bad note=${o.late.count ? `the oldest by ${clock(o.late.oldest_seconds * 1000)}` : 'all are taken in time'} />
      <${Card} name="Paused" icon="paused" n=${paused} link=${listLink({status: 'paused', since: 'all'})}
        note=${o.parked.count ? `${plural(o.parked.count, 'one', 'of them')} parked`.replace('1 one', 'one') : 'none is parked'} />
      <${Card} name="Failed" icon="failed" bad n=${{count: hour.failed, capped: hour.capped}} link=${listLink({status: 'failed', since: '1h'})} note="in the last hour" />
    </div>
    ${nothing ? firstSteps() : html`
    <section class="panel"><h2>Ended in the last hour <span class="dim">${count(ended)}${hour.capped ? '+' : ''} · ${count(hour.completed)} completed · ${
      count(hour.failed)} failed · ${count(hour.cancelled)} cancelled</span></h2><${Sparkline} minutes=${o.ended.minutes} /></section>
    <section class="panel"><h2>Waiting for a person <span class="dim">${count(o.human.count)}${o.human.capped ? '+' : ''}</span>
      ${o.human.count > o.human.waits.length && html`<a class="more-link" href="#/waiting">all</a>`}</h2>
      ${o.human.waits.length ? html`<${WaitTable} waits=${o.human.waits} caption="Waits for signals" />`
      : html`<p class="dim quiet-empty">No instance waits for a signal.</p>`}</section>
    <section class="panel"><h2>Failures of the last 24 hours</h2>
      ${o.failures.length ? html`<${Failures} failures=${o.failures} capped=${o.failures_capped} />` : html`<p class="dim quiet-empty">Nothing has failed.</p>`}</section>`}
    <section class="panel"><h2>Workers <span class="dim">${alive} alive</span></h2>
      ${o.workers.length ? html`<${WorkerTable} workers=${o.workers} />` : html`<p class="dim quiet-empty">None is registered.</p>`}</section>
  </section>`;
}
