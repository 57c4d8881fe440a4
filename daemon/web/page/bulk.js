// One action on many instances: counted first, confirmed by typing the count, then done in portions.

import {ACTIONS, Reason} from './actions.js';
import {post} from './api.js';
import {count, plural} from './format.js';
import {html, useEffect, useState} from './lib.js';
import {Badge, closeDialog, Dialog, Failure, Loading, tell} from './ui.js';

/** @typedef {import('./types').Row} Row */
/** @typedef {{filter?: Record<string, string>, rows?: Row[]}} Scope a filter, or rows that were selected */

const PORTION = 200;
/** @type {Record<string, string>} */
const DOES = {cancel: 'be cancelled', pause: 'be paused', resume: 'be resumed', rerun: 'run again as new instances'};

const UNFINISHED = ['pending', 'running', 'paused'];
/** From which states an action leads anywhere. @type {Record<string, string[]>} */
const FROM = {cancel: UNFINISHED, pause: ['pending', 'running'], resume: ['paused'], rerun: [...UNFINISHED, 'completed', 'failed', 'cancelled']};

/** What the server answers for a filter, of rows that are at hand. @param {string} action @param {Row[]} rows */
function countRows(action, rows) {
  const able = rows.filter((row) => FROM[action].includes(row.status));
  /** @type {Record<string, number>} */
  const byStatus = {};
  for (const row of able) byStatus[row.status] = (byStatus[row.status] ?? 0) + 1;
  return {ids: able.map((row) => row.id), by_status: byStatus, sample: able, capped: false};
}

/** @param {{scope: Scope, after: () => void}} props */
function Bulk({scope, after}) {
  const [action, setAction] = useState('cancel');
  const [counted, setCounted] = useState(/** @type {any} */ (null));
  const [reason, setReason] = useState('');
  const [typed, setTyped] = useState('');
  const [error, setError] = useState(/** @type {any} */ (null));
  const [done, setDone] = useState(-1);
  const [failed, setFailed] = useState(/** @type {any[]} */ ([]));
  useEffect(() => {
    let current = true;
    setCounted(null);
    setError(null);
    setTyped('');
    if (scope.rows) {
      setCounted(countRows(action, scope.rows));
      return undefined;
    }
    post('bulk', {action, filter: scope.filter, dry_run: true}).then((answer) => current && setCounted(answer), (problem) => current && setError(problem));
    return () => { current = false; };
  }, [action]);
  const total = counted?.ids.length ?? 0;
  const finished = done >= 0 && done >= total;
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    if (done >= 0 || typed.trim() !== String(total)) return;
    /** @type {any[]} */
    const problems = [];
    setDone(0);
    for (let at = 0; at < total; at += PORTION) {
      try {
        const answer = await post('bulk', {action, ids: counted.ids.slice(at, at + PORTION), reason: reason || undefined});
        problems.push(...answer.failed);
      } catch (problem) {
        setError(problem);
        break;
      }
      setFailed([...problems]);
      setDone(Math.min(total, at + PORTION));
    }
    after();
    if (!problems.length) {
      tell(`${plural(total, 'instance')}: ${ACTIONS[action].title.toLowerCase()}, done`);
      closeDialog();
    }
  };
  return html`<${Dialog} title="Act on many" close=${closeDialog}><form onSubmit=${submit}>
    <p>${scope.filter ? 'All instances that fit the filter of the list, also those that are not shown.' : `The ${plural(scope.rows?.length ?? 0, 'instance')} that you selected.`}</p>
    <fieldset class="choices"><legend class="offscreen">Action</legend>${Object.keys(DOES).map((key) => html`<label class="choice"><input type="radio" name="action"
      value=${key} checked=${key === action} disabled=${done >= 0} onChange=${() => setAction(key)} />${ACTIONS[key].title}</label>`)}</fieldset>
    ${!counted && !error && html`<${Loading} />`}
    ${counted && html`<p><b>${plural(total, 'instance')}${counted.capped ? ', the most at once,' : ''}</b> will ${DOES[action]}.
      ${Object.entries(counted.by_status).map(([status, n]) => html` <${Badge} status=${status} word=${`${count(Number(n))} ${status}`} />`)}</p>
      ${counted.sample.length > 0 && html`<p class="dim cut">For example ${counted.sample.slice(0, 5).map((/** @type {any} */ row) => row.label ? `${row.label} ${row.id}` : row.id).join(', ')}</p>`}`}
    ${total > 0 && html`<${Reason} reason=${reason} setReason=${setReason} kept=${action === 'cancel'} />
      <label class="field"><span>Type <b>${total}</b> to confirm</span><input type="text" name="confirm" inputmode="numeric" autocomplete="off"
        value=${typed} onInput=${(/** @type {any} */ e) => setTyped(e.target.value)} /></label>`}
    ${done >= 0 && html`<p role="status"><progress max=${total} value=${done} aria-label="done" /> ${count(done)} of ${count(total)}</p>`}
    ${failed.length > 0 && html`<div class="note bad"><div><p>${plural(failed.length, 'instance')} could not be changed:</p>
      <ul>${failed.slice(0, 10).map((f) => html`<li><code>${f.id}</code> ${f.error.message}</li>`)}</ul></div></div>`}
    ${error && html`<${Failure} error=${error} />`}
    <footer><button type="button" onClick=${closeDialog}>Close</button>
      <button type="submit" class=${action === 'cancel' ? 'danger' : 'primary'} disabled=${!total || done >= 0 || typed.trim() !== String(total)}>${
        finished ? 'Done' : `${ACTIONS[action].title} ${count(total)}`}</button></footer></form><//>`;
}

/** @param {Scope} scope @param {() => void} after */
export const bulkDialog = (scope, after) => html`<${Bulk} scope=${scope} after=${after} />`;
