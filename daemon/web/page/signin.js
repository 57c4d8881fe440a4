// What is shown while there is no session.

import {me, signIn, startSession} from './api.js';
import {html, useState} from './lib.js';
import {Failure} from './ui.js';

function Login() {
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const [error, setError] = useState(/** @type {Error|null} */ (null));
  const [busy, setBusy] = useState(false);
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await startSession({user, password});
    } catch (problem) {
      setError(/** @type {Error} */ (problem));
      setPassword('');
    }
    setBusy(false);
  };
  return html`<form onSubmit=${submit}><h1>Sign in</h1><p class="dim">With your role of the database.</p>
    <label class="field"><span>Role</span><input type="text" name="user" autocomplete="username" autofocus required value=${user} onInput=${(/** @type {any} */ e) => setUser(e.target.value)} /></label>
    <label class="field"><span>Password</span><input type="password" name="password" autocomplete="current-password" value=${password} onInput=${(/** @type {any} */ e) => setPassword(e.target.value)} /></label>
    ${error && html`<${Failure} error=${error} />`}
    <button type="submit" class="primary" disabled=${busy || !user}>${busy ? 'Signing in…' : 'Sign in'}</button></form>`;
}

/** @param {{problem: string}} props */
export function SignIn({problem}) {
  const mode = signIn.value;
  return html`<main class="signin" id="main">
    <div class="brand" aria-hidden="true"><i class="mark" /> durabled</div>
    ${mode === 'login' ? html`<${Login} />` : mode === 'proxy'
      ? html`<h1>The proxy did not say who you are</h1><p>This page trusts the proxy in front of it. Sign in there, then load this page again.</p>`
      : html`<h1>${me.value ? 'This session has ended' : 'Open the link that durabled ui prints'}</h1>
        <p>Each link is good for one sign-in. Press Enter in the terminal where <code>durabled ui</code> runs, and it prints a new one.</p>`}
    ${problem && html`<div class="note bad" role="alert"><p>${problem}</p></div>`}</main>`;
}
