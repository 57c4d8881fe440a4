// What holds on every screen: hostile text stays text, the content policy reports nothing, nobody is kept out, nothing is
// wider than the window, and what is large stays quick.

import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {gunzipSync} from 'node:zlib';
import {get} from 'node:http';
import {Screen, World, axeSource, until} from './world.js';

const HOSTILE = `<img src=x onerror=alert(1)>"'\`\${7*7}{{7*7}}</script><script>alert(2)</script><svg onload=alert(3)>&lt;b&gt; javascript:alert(4) %3Cscript%3E`;

let world;
let browser;
/** @type {Record<string, string>} instances by what they are */
const ids = {};

before(async () => {
  world = await World.start();
  await fill();
  browser = await world.browser();
  const screen = await Screen.open(world, browser);
  await screen.signIn();
  await screen.page.close();
});
after(() => world?.stop());

const quote = (text) => `'${text.replaceAll("'", "''")}'`;

/** Instances in every state, with hostile text wherever a person may put some. */
async function fill() {
  const role = `"${HOSTILE.slice(0, 60).replaceAll('"', '""')}"`;
  await world.sql(`create role ${role} login`, 'postgres', 'postgres');
  await world.sql(`select df.grant_usage(${quote(HOSTILE.slice(0, 60))})`, 'owner');
  await world.sql(`update df.workers set name = ${quote(HOSTILE)}, host = ${quote(HOSTILE)}`, 'owner');
  const step = (sql) => quote(sql);
  ids.waiting = await world.submit(`${step(`SELECT ${quote(HOSTILE)} AS "<b>x</b>"`)} |=> 'a' ~> df.wait_for_signal(${quote(HOSTILE)})`, HOSTILE);
  ids.failed = await world.submit(`${step(`SELECT 1 AS n`)} ~> df.join('SELECT 2', df.fail(${quote(HOSTILE)}, 'XSS01'))`, HOSTILE);
  ids.variables = await world.sql(`select df.setvar('hostile', ${quote(HOSTILE)});
    insert into df.submit (dsl, label) values ('''SELECT 1 -- {hostile}''', 'variables') returning id`).then((out) => out.split('\n').pop());
  ids.signalled = await world.submit(`df.sleep(600)`, 'signalled');
  await world.sql(`select df.signal('${ids.signalled}', ${quote(HOSTILE)}, ${quote(JSON.stringify({a: HOSTILE}))})`);
  ids.cancelled = await world.submit(`df.sleep(600)`, 'cancelled');
  await world.sql(`select df.cancel('${ids.cancelled}', ${quote(HOSTILE)})`);
  ids.rows = await world.submit(`df.for_each('SELECT generate_series(1, 40) AS n', 'SELECT $item.n' ~> df.if('SELECT $item.n > 20', 'SELECT 1'))`, 'rows');
  ids.loop = await world.submit(`df.loop('SELECT 1 AS n' |=> 'x' ~> df.retry('SELECT 1 / 0', 100, delay => 100) ~> 'SELECT 2', 'SELECT false')`, 'loop');
  ids.paused = await world.submit(`df.wait_for_signal('z')`, 'paused');
  await world.sql(`select df.pause('${ids.paused}')`);
  await world.status(ids.failed, 'failed');
  await world.status(ids.rows, 'completed');
  await world.status(ids.variables, 'completed');
  ids.rerun = await world.sql(`select df.rerun('${ids.failed}', '00000001')`);
  await world.status(ids.rerun, 'failed');
  await until('they wait', async () => Number(await world.sql('select count(*) from df.waiting()')) >= 4);
}

/** Every screen, with text that shows that it is there. */
const screens = () => [
  ['#/', 'Failures of the last 24 hours'], ['#/instances', 'Instances'], ['#/instances?label=none', 'No instance fits'], ['#/waiting', 'waits'],
  ['#/workers', 'alive'], ['#/about', 'Settings of the schema'], ['#/label/' + encodeURIComponent(HOSTILE), 'The last'],
  [`#/i/${ids.waiting}`, 'waits for the signal'], [`#/i/${ids.waiting}/n/00000002`, 'What happened'], [`#/i/${ids.failed}`, 'XSS01'],
  [`#/i/${ids.failed}/n/00000004`, 'Attempt 1'], [`#/i/${ids.failed}/timeline`, 'waits for a worker'], [`#/i/${ids.failed}/history`, 'Step failed'],
  [`#/i/${ids.failed}/reruns`, ids.rerun], [`#/i/${ids.variables}/text`, 'hostile'], [`#/i/${ids.signalled}/signals`, 'not taken'],
  [`#/i/${ids.cancelled}`, 'cancelled'], [`#/i/${ids.rows}`, '40/40 rows'], [`#/i/${ids.loop}`, 'Loop'], [`#/i/${ids.paused}`, 'paused'],
  ['#/i/00000000', 'No such instance'],
];

test('hostile text is shown as text on every screen, and the content policy reports nothing', async () => {
  const screen = await Screen.open(world, browser);
  for (const [hash, text] of screens()) {
    await screen.go(hash);
    await screen.sees(text, 'main');
    const injected = await screen.page.evaluate(() => document.querySelectorAll('main img, main script, main svg[onload], main [onerror]').length);
    assert.equal(injected, 0, hash);
  }
  await screen.go(`#/i/${ids.waiting}`);
  await screen.sees(HOSTILE, 'h1');
  await screen.isClean();
  await screen.page.close();
});

for (const [theme, width] of [['light', 1280], ['dark', 320]]) {
  test(`axe finds nothing on any screen, and nothing is wider than the window: ${theme}, ${width} px`, async () => {
    const screen = await Screen.open(world, browser, {theme, width, height: 800});
    const found = [];
    await screen.page.evaluateOnNewDocument(axeSource());
    const look = async (where) => {
      const {violations, wide} = await screen.page.evaluate(async () => {
        const {violations} = await globalThis.axe.run(document, {resultTypes: ['violations']});
        return {wide: document.documentElement.scrollWidth - innerWidth, violations: violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.html.slice(0, 160)} ${n.failureSummary?.slice(0, 200)}`).join('\n')}`)};
      });
      found.push(...violations.map((v) => `${where} ${v}`));
      if (wide > 0) found.push(`${where} is ${wide} px too wide`);
    };
    for (const [hash, text] of screens()) {
      await screen.go(hash);
      await screen.sees(text, 'main');
      await look(hash);
    }
    await screen.go(`#/i/${ids.waiting}`);
    await screen.press('Signal…');
    await screen.sees('Send a signal', 'dialog');
    await look('the dialog of a signal');
    assert.deepEqual(found, []);
    await screen.isClean();
    await screen.page.close();
  });
}

test('the outline is a tree that the arrow keys walk', async () => {
  const screen = await Screen.open(world, browser);
  await screen.go(`#/i/${ids.failed}`);
  await screen.press('Outline');
  await screen.page.waitForSelector('[role=tree] [role=treeitem]');
  await screen.page.focus('[role=treeitem]');
  const focused = () => screen.page.evaluate(() => document.activeElement?.id);
  for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowDown']) {
    const was = await focused();
    await screen.page.keyboard.press(key);
    await until('the focus moves', async () => (await focused()) !== was);
  }
  assert.equal(await focused(), 'o-4');
  await screen.page.keyboard.press('ArrowLeft');
  await until('the focus is on the join', async () => (await focused()) === 'o-2');
  await screen.page.keyboard.press('ArrowLeft');
  await until('the join is folded', () => screen.page.evaluate(() => document.getElementById('o-2')?.getAttribute('aria-expanded') === 'false'));
  await screen.page.close();
});

test('a graph of 10,000 nodes and a history of 20,000 events are drawn in part', async () => {
  const step = `''SELECT 1''`;
  const branch = `df.retry(${step} ~> df.timeout(${step}, 5) ~> ${step} ~> df.catch(${step}, ${step}), 2)`.replaceAll("''", "'");
  const dsl = Array.from({length: 100}, () => `df.join(${Array(10).fill(branch).join(', ')})`).join(' ~> ');
  const id = await world.submit(dsl, 'huge');
  const screen = await Screen.open(world, browser);
  await screen.go(`#/i/${id}`);
  await screen.page.waitForSelector('.graph .box');
  await screen.sees(/9,\d\d\d nodes|1\d,\d\d\d nodes/, '.graph-tools');
  const boxes = () => screen.page.evaluate(() => document.querySelectorAll('.graph *').length);
  assert.ok(await boxes() < 6000, String(await boxes()));
  await screen.page.$eval('.graph', (graph) => { graph.scrollTop = graph.scrollHeight / 2; });
  await until('other boxes are there', () => screen.page.evaluate(() => {
    const graph = document.querySelector('.graph').getBoundingClientRect();
    return [...document.querySelectorAll('.box.head')].some((box) => {
      const at = box.getBoundingClientRect();
      return at.top > graph.top && at.bottom < graph.bottom;
    });
  }));
  await world.sql(`select df.cancel('${id}')`);
  await until('no daemon holds it', async () => (await world.sql(`select worker_id is null from df.instances where id = '${id}'`, 'owner')) === 't');
  await world.sql(`insert into df.events (instance_id, seq, at, kind, node, scope, attempt, data, started_at)
    select '${id}', 1000000 + n, now(), 'StepCompleted', '00000003', '', 1, '{"rows":[]}', now() from generate_series(1, 20000) n`, 'postgres');
  await screen.go(`#/i/${id}/history`);
  await screen.sees('1020000', '.virtual');
  const rows = () => screen.page.evaluate(() => document.querySelectorAll('.ev').length);
  for (let n = 0; n < 8; n++) {
    const high = await screen.page.$eval('.virtual', (list) => {
      list.scrollTop = list.scrollHeight;
      return list.scrollHeight;
    });
    await until('more is loaded', () => screen.page.$eval('.virtual', (list, was) => list.scrollHeight > was, high));
    assert.ok(await rows() < 120, String(await rows()));
  }
  await screen.isClean();
  await screen.page.close();
});

test('the whole page is at most 200 kB, and 60 kB with gzip', async () => {
  const fetch = (path) => new Promise((resolve, reject) => get(new URL(path, world.base), {headers: {'accept-encoding': 'gzip'}}, (answer) => {
    const chunks = [];
    answer.on('data', (chunk) => chunks.push(chunk));
    answer.on('end', () => {
      const body = Buffer.concat(chunks);
      const plain = answer.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
      resolve({sent: body.length, raw: plain.length, text: plain.toString(), status: answer.statusCode});
    });
  }).on('error', reject));
  let [raw, sent] = [0, 0];
  const todo = ['./'];
  const seen = new Set(todo);
  while (todo.length) {
    const path = todo.shift();
    const file = await fetch(path);
    assert.equal(file.status, 200, path);
    raw += file.raw;
    sent += file.sent;
    const names = [...file.text.matchAll(/(?:src|href)="(assets\/[^"]+)"/g)].map(([, name]) => name);
    names.push(...[...file.text.matchAll(/from\s*["'](\.\/[^"']+)["']/g)].map(([, name]) => new URL(name, new URL(path, 'http://x/')).pathname.slice(1)));
    for (const name of names) {
      if (seen.has(name)) continue;
      seen.add(name);
      todo.push(name);
    }
  }
  assert.equal(seen.size, 8, [...seen].join(' ')); // index.html, app.css, app.js and five libraries
  console.log(`the page: ${raw} bytes in ${seen.size} files, ${sent} with gzip`);
  assert.ok(raw <= 200 * 1024 && sent <= 60 * 1024, `${raw} bytes, ${sent} with gzip`);
});
