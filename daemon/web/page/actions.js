// What a person may do to an instance, each with a dialog that says what will happen and shows the same in SQL.

import {instancePath, post} from './api.js';
import {html, useState} from './lib.js';
import {instanceLink} from './route.js';
import {closeDialog, Copy, Dialog, Failure, Icon, tell} from './ui.js';

/** @typedef {{id: string, label: string|null, status?: string}} Target */

/** A text as a literal of SQL. @param {string} text */
export const literal = (text) => (text.includes('\\') ? ' E' : '') + `'${text.replace(/\\/g, '\\\\').replace(/'/g, "''")}'`;

/** @type {Record<string, {title: string, button: string, what: string, sql: (id: string, reason: string) => string, danger?: boolean}>} */
export const ACTIONS = {
  cancel: {title: 'Cancel', button: 'Cancel the instance', danger: true,
    what: 'What runs is stopped and rolled back. This cannot be undone; the instance can be run again as a new one.',
    sql: (id, reason) => `SELECT df.cancel(${literal(id)}${reason ? `, ${literal(reason)}` : ''});`},
  pause: {title: 'Pause', button: 'Pause the instance',
    what: 'The steps that run now end; no other begins until it is resumed. Timers go on meanwhile.',
    sql: (id) => `SELECT df.pause(${literal(id)});`},
  resume: {title: 'Resume', button: 'Resume the instance', what: 'It goes on where it was.', sql: (id) => `SELECT df.resume(${literal(id)});`},
  rerun: {title: 'Run again', button: 'Start a new instance',
    what: 'A new instance of the same workflow begins at the first step, with the same variables. This one stays as it is.',
    sql: (id) => `SELECT df.rerun(${literal(id)});`},
};

/** The reason and the error of a dialog, and what sends it. @param {(reason: string) => Promise<void>} send */
function useSending(send) {
  const [reason, setReason] = useState('');
  const [error, setError] = useState(/** @type {Error|null} */ (null));
  const [busy, setBusy] = useState(false);
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      await send(reason);
      closeDialog();
    } catch (problem) {
      setError(/** @type {Error} */ (problem));
    }
    setBusy(false);
  };
  return {reason, setReason, error, busy, submit};
}

/** @param {{reason: string, setReason: (text: string) => void, kept?: boolean}} props */
export const Reason = ({reason, setReason, kept}) => html`<label class="field"><span>Reason <span class="dim">${kept ? 'kept with the instance' : 'for the log'}, optional</span></span>
  <input type="text" name="reason" maxlength="500" autocomplete="off" value=${reason} onInput=${(/** @type {any} */ e) => setReason(e.target.value)} /></label>`;

/** @param {{sql: string}} props */
const SameInSql = ({sql}) => html`<details class="sql"><summary>The same in SQL</summary>
  <div class="snippet"><pre tabindex="0">${sql}</pre><${Copy} text=${sql} label="Copy the statement" /></div></details>`;

/** @param {{button: string, danger?: boolean, busy: boolean}} props */
const Buttons = ({button, danger, busy}) => html`<footer><button type="button" onClick=${closeDialog}>Close</button>
  <button type="submit" class=${danger ? 'danger' : 'primary'} disabled=${busy}>${busy ? 'Working…' : button}</button></footer>`;

/** @param {{target: Target}} props */
const Which = ({target}) => html`<p class="which"><b>${target.label ?? 'no label'}</b> <span class="id">${target.id}</span></p>`;

/** @param {{action: string, target: Target, node?: {id: string, text: string}, again?: string[], after?: () => void}} props */
function Act({action, target, node, again, after}) {
  const kind = ACTIONS[action];
  const sending = useSending(async (reason) => {
    const answer = await post(instancePath(target.id, '/' + action), {
      reason: reason || undefined, expect_status: target.status, from_node: node?.id,
    });
    tell(answer.new_id ? `A new instance has started: ${answer.new_id}` : answer.message, {link: answer.new_id ? instanceLink(answer.new_id) : undefined});
    after?.();
  });
  const sql = node ? `SELECT df.rerun(${literal(target.id)}, ${literal(node.id)});` : kind.sql(target.id, sending.reason);
  return html`<${Dialog} title=${node ? 'Run again from here' : kind.title} close=${closeDialog}><form onSubmit=${sending.submit}>
    <${Which} target=${target} />
    <p>${node ? 'A new instance begins at this step. The results of everything before it are kept; this one stays as it is.' : kind.what}</p>
    ${again && html`<div class="again"><p><b>These steps will run${node ? ' again' : ''}:</b></p><ol tabindex="0">${again.slice(0, 50).map((text) => html`<li><code>${text}</code></li>`)}</ol>
      ${again.length > 50 && html`<p class="dim">and ${again.length - 50} more</p>`}</div>`}
    <${Reason} reason=${sending.reason} setReason=${sending.setReason} kept=${action === 'cancel'} />
    <${SameInSql} sql=${sql} />
    ${sending.error && html`<${Failure} error=${sending.error} />`}
    <${Buttons} button=${kind.button} danger=${kind.danger} busy=${sending.busy} /></form><//>`;
}

/** Why a text is not JSON, or ''. @param {string} text */
function jsonProblem(text) {
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return /** @type {Error} */ (error).message;
  }
}

/** @param {{target: Target & {name: string}, after?: () => void}} props */
function SendSignal({target, after}) {
  const [name, setName] = useState(target.name);
  const [data, setData] = useState('{}');
  const problem = jsonProblem(data);
  const sending = useSending(async (reason) => {
    await post(instancePath(target.id, '/signal'), {name, data, reason: reason || undefined});
    tell(`The signal ${name} was sent`);
    after?.();
  });
  return html`<${Dialog} title="Send a signal" close=${closeDialog}><form onSubmit=${sending.submit}>
    <${Which} target=${target} />
    <label class="field"><span>Signal</span><input type="text" name="signal" required value=${name} readonly=${!!target.name}
      onInput=${(/** @type {any} */ e) => setName(e.target.value)} /></label>
    <label class="field"><span>Data <span class="dim">JSON, the result of the wait</span></span>
      <textarea name="data" rows="5" spellcheck=${false} value=${data} aria-invalid=${!!problem} aria-describedby="data-problem"
        onInput=${(/** @type {any} */ e) => setData(e.target.value)} /></label>
    <p id="data-problem" class="problem" role="status">${problem && html`<${Icon} name="late" />${problem}`}</p>
    <${SameInSql} sql=${`SELECT df.signal(${literal(target.id)}, ${literal(name)}, ${literal(data)});`} />
    ${sending.error && html`<${Failure} error=${sending.error} />`}
    <${Buttons} button="Send the signal" busy=${sending.busy || !!problem || !name} /></form><//>`;
}

/** @param {string} action @param {Target} target @param {{node?: {id: string, text: string}, again?: string[], after?: () => void}} [more] */
export const actionDialog = (action, target, more = {}) => html`<${Act} action=${action} target=${target} ...${more} />`;
/** @param {Target & {name: string}} target @param {() => void} [after] */
export const signalDialog = (target, after) => html`<${SendSignal} target=${target} after=${after} />`;
