// The page: its frame, the screen that the address names, and what goes with every screen.

import {About} from './about.js';
import {ApiError, loadMe, me, signIn, startSession, takeToken, trouble} from './api.js';
import {zoneName} from './format.js';
import {Instance} from './instance.js';
import {Instances} from './instances.js';
import {followKeys} from './keys.js';
import {Label} from './label.js';
import {computed, effect, html, render, signal, useEffect} from './lib.js';
import {connection, followPage, hidden} from './live.js';
import {Overview} from './overview.js';
import {now, remember, theme, zone} from './prefs.js';
import {followAddress, listLink, route} from './route.js';
import {SignIn} from './signin.js';
import {dialog, Icon, Loading, notice, showTitle} from './ui.js';
import {Waiting} from './waiting.js';
import {Workers} from './workers.js';

const NAV = [['overview', '#/', 'Overview'], ['instances', listLink(), 'Instances'], ['waiting', '#/waiting', 'Waiting'],
  ['workers', '#/workers', 'Workers'], ['about', '#/about', 'About']];
/** @type {Record<string, string>} */
const THEMES = {system: 'light', light: 'dark', dark: 'system'};
/** @type {Record<string, string>} */
const THEME_ICONS = {system: 'system', light: 'sun', dark: 'moon'};
/** @type {Record<string, [string, string]>} */
const CONNECTIONS = {live: ['live', 'What is shown follows the database'], polling: ['polling', 'What is shown is asked for every few seconds'],
  lost: ['lost', 'The connection is lost; it is tried again'], off: ['', '']};

/** Why one cannot sign in, if that is so. */
const refused = signal('');

function Bar() {
  const {screen} = route.value;
  const here = screen === 'instance' || screen === 'label' ? 'instances' : screen;
  const m = me.value;
  const way = trouble.value ? 'lost' : connection.value;
  const [word, title] = CONNECTIONS[way];
  return html`<header class="bar"><a class="brand" href="#/" aria-label="durabled, overview"><i class="mark" /><span>durabled</span></a>
    <nav class="nav" aria-label="Screens">${NAV.map(([key, link, name]) => html`<a key=${key} href=${link} aria-current=${key === here ? 'page' : undefined}><${Icon} name=${key} /><span>${name}</span></a>`)}</nav>
    <div class="bar-tools">
      <span class=${'live ' + way} role="status" title=${title}>${word && html`<i />${word}`}</span>
      ${m && html`<span class="who" title=${`role ${m.role}, database ${m.database}`}><b>${m.database}</b><span>${m.role}</span></span>`}
      <button type="button" class="quiet" aria-label=${zone.value === 'utc' ? 'UTC' : `Local time, ${zoneName('local')}`} title="Switch between local time and UTC"
        onClick=${() => { zone.value = zone.value === 'utc' ? 'local' : 'utc'; }}>${zone.value === 'utc' ? 'UTC' : 'Local'}</button>
      <button type="button" class="quiet icon-only" aria-label=${`Theme: ${theme.value}; switch`} title=${`Theme: ${theme.value}`}
        onClick=${() => { theme.value = THEMES[theme.value]; }}><${Icon} name=${THEME_ICONS[theme.value]} /></button></div></header>`;
}

function Screen() {
  const {screen, id = ''} = route.value;
  switch (screen) {
    case 'instances': return html`<${Instances} />`;
    case 'instance': return html`<${Instance} key=${id} id=${id} />`;
    case 'waiting': return html`<${Waiting} />`;
    case 'label': return html`<${Label} key=${id} label=${id} />`;
    case 'workers': return html`<${Workers} />`;
    case 'about': return html`<${About} />`;
    default: return html`<${Overview} />`;
  }
}

function Troubles() {
  const error = trouble.value;
  return html`${me.value?.banner && html`<div class="banner" role="note"><${Icon} name="late" />${me.value.banner}</div>`}
    ${me.value?.read_only && html`<div class="banner calm" role="note">Read only: nothing can be changed from this page.</div>`}
    ${error && html`<div class="banner bad" role="alert"><${Icon} name="failed" /><span>${error.message}. ${error.hint ?? ''} What is shown may be old; it is tried again.</span></div>`}`;
}

function App() {
  useEffect(() => {
    // A dialog belongs to the screen that opened it.
    dialog.value = null;
    scrollTo(0, 0);
    const {screen, id} = route.value;
    if (screen !== 'instance') showTitle(id ?? NAV.find(([key]) => key === screen)?.[2] ?? '', '');
  }, [route.value.screen, route.value.id]);
  if (signIn.value) return html`<${SignIn} problem=${refused.value} />`;
  if (!me.value) return trouble.value ? html`<main id="main" class="signin"><${Troubles} /></main>` : html`<main id="main"><${Loading} /></main>`;
  return html`<button type="button" class="skip" onClick=${() => document.getElementById('main')?.focus()}>Skip to the content</button>
    <${Bar} /><main id="main" tabindex="-1"><${Troubles} /><${Screen} /></main>
    ${dialog.value}
    <div class="notices" aria-live="polite">${notice.value && html`<div class=${'notice' + (notice.value.bad ? ' bad' : '')}><${Icon} name=${notice.value.bad ? 'failed' : 'check'} />
      <span>${notice.value.text}</span>${notice.value.link && html`<a href=${notice.value.link}>Open</a>`}</div>`}</div>`;
}

async function enter() {
  const token = takeToken();
  if (token) {
    try {
      await startSession({token});
      return;
    } catch (error) {
      refused.value = error instanceof ApiError ? error.message : '';
    }
  }
  for (;;) {
    try {
      await loadMe();
      refused.value = '';
      return;
    } catch (error) {
      if (error instanceof ApiError && error.status !== 0 && error.status !== 503) return;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

function start() {
  followAddress();
  followPage();
  followKeys();
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    remember('durabled.theme', theme.value);
  });
  effect(() => remember('durabled.zone', zone.value));
  const lost = computed(() => trouble.value !== null && me.value !== null);
  effect(() => {
    // A stream says that the database has gone, but nothing when it is back and nothing has changed.
    if (!lost.value) return undefined;
    const timer = setInterval(() => loadMe().catch(() => {}), 2000);
    return () => clearInterval(timer);
  });
  effect(() => {
    if (hidden.value) return undefined;
    now.value = Date.now();
    const timer = setInterval(() => { now.value = Date.now(); }, 1000);
    return () => clearInterval(timer);
  });
  const root = document.getElementById('root');
  if (root) render(html`<${App} />`, root);
  enter();
}

start();
