// What is known of one node: what it is, each attempt with its result or error, and running again from here.

import {actionDialog} from './actions.js';
import {get, instancePath, me, payloadLink} from './api.js';
import {duration} from './format.js';
import {words} from './history.js';
import {html, signal, useEffect, useLayoutEffect, useMemo, useRef} from './lib.js';
import {instanceLink} from './route.js';
import {foldedWords, stepsFrom, STOPPED} from './states.js';
import {describe} from './tree.js';
import {Ago, Badge, Copy, dialog, Failure, Icon, Loading, Text, Time} from './ui.js';

/** @typedef {import('./types').Attempt} Attempt */
/** @typedef {import('./types').ErrorParts} ErrorParts */

/** The statement that failed, with a mark below the place. @param {{parts: ErrorParts}} props */
function Place({parts}) {
  const {statement, position} = parts;
  if (!statement || !position) return null;
  const before = [...statement].slice(0, position - 1).join('');
  const line = before.split('\n').length - 1;
  const column = [...before.slice(before.lastIndexOf('\n') + 1)].length;
  const lines = statement.split('\n').slice(Math.max(0, line - 2), line + 1);
  return html`<pre tabindex="0" class="place" aria-label="where the statement failed">${`${lines.join('\n')}\n${' '.repeat(column)}`}<b>^</b></pre>`;
}

/** @param {{parts: ErrorParts}} props */
export const ErrorView = ({parts}) => html`<div class="error-parts"><p class="bad">${parts.sqlstate && html`<code>${parts.sqlstate}</code> `}${parts.message}</p>
  ${parts.detail && html`<p>${parts.detail}</p>`}${parts.hint && html`<p class="dim">${parts.hint}</p>`}<${Place} parts=${parts} /></div>`;

/** @param {{id: string, attempt: Attempt, node: string}} props */
function AttemptView({id, attempt: a}) {
  const failed = a.kind === 'StepFailed';
  return html`<li class="attempt"><div class="attempt-line"><${Icon} name=${failed ? 'failed' : /Completed|Received|Fired/.test(a.kind) ? 'completed' : 'waiting'} />
      <b>${a.attempt ? `Attempt ${a.attempt}` : words(a.kind)}</b>${a.scope && html`<span class="scope">${a.scope}</span>`}<span class="dim"><${Time} at=${a.at} /></span></div>
    <p class="dim">${a.queued_ms !== null && html`waited ${duration(a.queued_ms)}${a.took_ms !== null ? ', ' : ''}`}${a.took_ms !== null && html`ran ${duration(a.took_ms)}`}
      ${a.retry_at && html` · again <${Ago} at=${a.retry_at} />`}</p>
    ${a.error_parts ? html`<${ErrorView} parts=${a.error_parts} />` : null}
    ${a.result && html`<${Text} piece=${a.result} json label="the result" download=${payloadLink(id, {part: 'event', seq: a.seq})} />`}</li>`;
}

/** @param {{store: ReturnType<import('./instance.js').makeInstance>, nodes: import('./types').TreeNode[], i: number, state: string[], tab: string}} props */
export function NodePanel({store, nodes, i, state, tab}) {
  const node = nodes[i];
  const data = useMemo(() => signal(/** @type {any} */ (null)), [node.id]);
  const error = useMemo(() => signal(/** @type {any} */ (null)), [node.id]);
  const older = useMemo(() => signal(/** @type {Attempt[]} */ ([])), [node.id]);
  const ref = useRef(/** @type {HTMLElement|null} */ (null));
  const letter = store.detail.value?.states?.letters[i] ?? 'p';
  const path = instancePath(store.id, `/nodes/${encodeURIComponent(node.id)}`);
  const last = store.detail.value?.last_seq;
  useEffect(() => {
    let current = true;
    get(path).then((answer) => {
      if (current) {
        data.value = answer;
        error.value = null;
      }
    }, (problem) => { if (current) error.value = problem; });
    return () => { current = false; };
  }, [node.id, letter, store.detail.value?.instance.status, last]);
  useLayoutEffect(() => {
    // On a narrow screen the panel is below what was tapped.
    if (ref.current && innerWidth < 900) ref.current.scrollIntoView({block: 'nearest'});
  }, []);
  const d = data.value;
  /** @type {Attempt[]} */
  const attempts = d ? [...d.attempts, ...older.value] : [];
  const more = async () => {
    const answer = await get(path, {before: attempts[attempts.length - 1].seq});
    older.value = [...older.value, ...answer.attempts];
    data.value = {...d, more_before: answer.more_before};
  };
  const {kind, text} = describe(node);
  const problem = me.value?.read_only ? 'this page is read only' : store.detail.value?.can.rerun ?? d?.rerun.problem;
  const row = store.detail.value?.instance;
  const again = () => {
    if (problem || !row || !d) return;
    dialog.value = actionDialog('rerun', {id: row.id, label: row.label, status: row.status}, {node: {id: node.id, text}, again: stepsFrom(nodes, i)});
  };
  const folded = foldedWords(node, store.detail.value?.states ?? null);
  const rows = store.detail.value?.states?.rows[node.id];
  return html`<aside class="side" ref=${ref} aria-label=${`Node ${node.id}`}>
    <header><div><h2>${kind}${node.name && html` <span class="box-name">$${node.name}</span>`}</h2>
      <span class="id-line"><code>${node.id}</code><${Copy} text=${node.id} label="Copy the node's id" /></span></div>
      <a class="button quiet icon-only" href=${instanceLink(store.id, tab)} aria-label="Close the node"><${Icon} name="close" /></a></header>
    <p><${Badge} status=${state[i]} /> ${STOPPED[letter] && html`<span class="dim">${STOPPED[letter]}</span>`}${folded && html` <span class="dim">${folded}</span>`}</p>
    ${rows?.failed_rows?.length ? html`<p class="bad">failed rows: ${rows.failed_rows.join(', ')}</p>` : null}
    <div class="side-tools"><button type="button" aria-disabled=${!!problem || !d} onClick=${again} aria-describedby="rerun-problem">Run again from here…</button>
      <a class="button quiet" href=${instanceLink(store.id, 'history', node.id)}>Its events</a></div>
    <p id="rerun-problem" class="dim small">${problem ? `Not possible: ${problem}` : ''}</p>
    ${error.value && html`<${Failure} error=${error.value} />`}
    ${!d && !error.value && html`<${Loading} />`}
    ${d?.node.query && html`<h3>${node.type === 'SQL' ? 'Statement' : 'Settings'}</h3><${Text} piece=${d.node.query} json=${node.type !== 'SQL' && d.node.query.text[0] === '{'}
      label=${node.type === 'SQL' ? 'the statement' : 'the settings'} download=${payloadLink(store.id, {part: 'query', node: node.id})} />`}
    ${d && html`<h3>What happened</h3>${attempts.length ? html`<ul class="attempts">${attempts.map((a) => html`<${AttemptView} key=${a.seq} id=${store.id} attempt=${a} node=${node.id} />`)}</ul>`
      : html`<p class="dim">${node.children.length ? 'The steps inside have their own events.' : 'Nothing yet.'}</p>`}
      ${d.more_before && html`<button type="button" onClick=${more}>Show earlier ones</button>`}`}
  </aside>`;
}
