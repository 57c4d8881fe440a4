// Who one is here, and what one talks to.

import {endSession, me} from './api.js';
import {html} from './lib.js';
import {Copy} from './ui.js';

/** @type {Record<string, string>} */
const MODES = {
  personal: 'your own database login; the page acts with your rights',
  login: 'the role and password that you signed in with',
  proxy: 'the role that the proxy in front of the page maps you to',
};

export function About() {
  const m = me.value;
  if (!m) return null;
  const facts = [
    ['Role', m.role], ['Signed in by', MODES[m.mode]],
    ['Rights', m.read_only ? 'read only: this page was started with --read-only'
      : m.operator ? 'operator: you see the instances of all roles, and may cancel, pause, resume and rerun them'
      : 'you see and manage your own instances'],
    ['Database', m.database], ['PostgreSQL', m.server_version], ['durabled', m.version], ['Schema df', m.schema],
    ['Daemons', m.daemons ? `${m.daemons} heard of in the last 30 s` : 'none heard of in the last 30 s'],
  ];
  return html`<section class="screen"><header class="screen-head"><h1>About</h1>
      ${m.mode === 'login' && html`<div class="head-tools"><button type="button" onClick=${() => endSession()}>Sign out</button></div>`}</header>
    <dl class="facts panel">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <section class="panel"><h2>Settings of the schema</h2>
      ${m.settings.length ? html`<dl class="facts">${m.settings.map((s) => html`<div key=${s.name}><dt><code>${s.name}</code></dt><dd>${s.value}</dd></div>`)}</dl>`
      : html`<p class="dim">All have their defaults.</p>`}</section>
    <section class="panel"><h2>What may be wrong</h2>
      <p>The command below looks at the server, the schema, grants, logins and daemons, and says what to do about what it finds.</p>
      <div class="snippet"><pre tabindex="0">durabled doctor</pre><${Copy} text="durabled doctor" label="Copy the command" /></div></section>
  </section>`;
}
