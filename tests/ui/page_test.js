// What people do with the page, against a real daemon and PostgreSQL.

import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {Screen, World, until} from './world.js';

/** For what takes a while where others use the machine too. */
const BUSY_MS = 300000;

let world;
let browser;
let screen;

before(async () => {
  world = await World.start();
  browser = await world.browser();
  screen = await Screen.open(world, browser);
  await screen.signIn();
});
after(() => world?.stop());

/** Notes the document, so that a test can tell whether it was loaded again. */
const mark = () => screen.page.evaluate(() => { globalThis.unchanged = true; });
const isUnchanged = () => screen.page.evaluate(() => globalThis.unchanged === true);

test('a link signs in, and its token is gone from the address', async () => {
  assert.equal(new URL(screen.page.url()).hash, '#/');
  const other = await (await world.browser()).newPage();
  await other.goto(world.base);
  await until('the page asks for a link', async () => (await other.evaluate(() => document.body.innerText)).includes('Open the link that durabled ui prints'));
  await other.close();
});

test('the graph of an instance goes from pending to completed without a reload', async () => {
  await world.daemon.stop();
  const id = await world.submit(`'SELECT 1 AS n' |=> 'first' ~> df.wait_for_signal('go') ~> ('SELECT 2' & df.sleep(0.1)) ~> 'SELECT $first'`, 'watched');
  try {
    await screen.go(`#/i/${id}`);
    await mark();
    await screen.sees('No daemon has read this workflow yet');
    await screen.sees('pending', '.why-line');
  } finally {
    await world.startDaemon();
  }
  await screen.sees('waits for the signal go', '.why-line');
  await until('the wait is marked', async () => (await screen.stateOf(2)) === 'waiting');
  assert.deepEqual([await screen.stateOf(1), await screen.stateOf(6)], ['completed', 'pending']);
  await world.sql(`select df.signal('${id}', 'go')`);
  await screen.sees('completed', '.why-line');
  await until('every box is completed', async () => (await Promise.all([1, 2, 3, 4, 5, 6].map((n) => screen.stateOf(n)))).every((s) => s === 'completed'));
  await screen.sees('"row_count": 1', '.text');
  assert.ok(await isUnchanged());
  assert.match(await screen.page.title(), /completed/i);
});

test('an approval is given in the page', async () => {
  const id = await world.submit(`df.wait_for_signal('approve') |=> 'a' ~> 'SELECT $a.data AS by'`, 'approval');
  await screen.go('#/waiting');
  await screen.sees('approval', '.waits');
  await screen.press('Send the signal approve to approval');
  await screen.fill('dialog textarea', '{"by": ');
  await screen.sees(/JSON/, '#data-problem');
  assert.ok(await screen.page.$eval('dialog [type=submit]', (button) => button.disabled));
  await screen.fill('dialog textarea', '{"by": "ada"}');
  await screen.press('Send the signal', 'dialog footer');
  await screen.sees('The signal approve was sent');
  await world.status(id, 'completed');
  await until('the wait is gone', async () => !(await screen.text('main')).includes(id));
  assert.match(await world.sql(`select df.result('${id}')`), /ada/);
});

test('a failed instance says why, and is run again from the step that failed', async () => {
  await world.sql('create table runs (n int); create table divisor (d int); insert into divisor values (0)');
  const id = await world.submit(`'INSERT INTO runs VALUES (1)' ~> ('SELECT 10 / d FROM divisor' |=> 'q') ~> 'SELECT $q'`, 'division');
  await world.status(id, 'failed');
  await screen.go(`#/i/${id}`);
  await screen.sees('division by zero', '.why-line');
  await screen.press('The failure');
  await screen.sees('22012', '.side');
  await screen.sees('Attempt 1', '.side');
  assert.equal(await screen.stateOf(3), 'skipped');
  await world.sql('update divisor set d = 5');
  await screen.press('Run again from here', '.side');
  await screen.sees('SELECT 10 / d FROM divisor', 'dialog .again');
  assert.ok(!(await screen.text('dialog .again')).includes('INSERT'));
  await screen.press('Start a new instance', 'dialog');
  await screen.sees('A new instance has started');
  await screen.press('Open', '.notices');
  await screen.sees('completed', '.why-line');
  await screen.sees(id, '.strip-facts');
  assert.equal(await world.sql('select count(*) from runs'), '1');
});

test('a step that cannot be run again says why', async () => {
  const id = await world.submit(`df.loop('SELECT 1 AS n' |=> 'x', 'SELECT false') ~> 'SELECT 1'`, 'looped');
  await world.status(id, 'completed');
  await screen.go(`#/i/${id}/n/00000002`);
  await screen.sees('inside the LOOP', '#rerun-problem');
  assert.equal(await screen.page.$eval('.side-tools button', (button) => button.getAttribute('aria-disabled')), 'true');
});

test('an instance is paused, resumed and cancelled with a reason', async () => {
  const id = await world.submit(`df.wait_for_signal('never')`, 'steered');
  await screen.go(`#/i/${id}`);
  await screen.sees('waits for the signal', '.why-line');
  await screen.press('Pause…');
  await screen.press('Pause the instance', 'dialog');
  await screen.sees('paused', '.why-line');
  await screen.press('Resume…');
  await screen.press('Resume the instance', 'dialog');
  await screen.sees('waits for the signal', '.why-line');
  await screen.press('Cancel…');
  await screen.fill('dialog [name=reason]', 'ordered twice');
  assert.equal(await screen.page.$eval('dialog pre', (pre) => pre.textContent), `SELECT df.cancel('${id}', 'ordered twice');`);
  await screen.press('Cancel the instance', 'dialog');
  await screen.sees('ordered twice', '.why-line');
  assert.equal(await world.sql(`select status || ' ' || (error ->> 'message') from df.instances where id = '${id}'`), 'cancelled ordered twice');
});

test('the list keeps its place while thousands of instances finish', async () => {
  const ids = (await world.sql(`insert into df.submit (dsl, label) select 'df.wait_for_signal(''all'')', 'many' from generate_series(1, 60) returning id`)).split('\n');
  await until('all wait', async () => (await world.sql(`select count(*) from df.waiting() where name = 'all'`)) === '60');
  await screen.go('#/instances?label=many');
  await screen.sees('Show 50 more');
  await mark();
  await screen.page.evaluate(() => scrollTo(0, 900));
  const place = () => screen.page.evaluate(() => {
    const row = document.querySelectorAll('tr[data-row]')[20];
    return [row.dataset.row, Math.round(row.getBoundingClientRect().top), scrollY];
  });
  const before = await place();
  await world.sql(`insert into df.submit (dsl, label) select '''SELECT 1''', 'many' from generate_series(1, 2000)`);
  await world.sql(`select df.signal(id, 'all') from df.instances where label = 'many' and id = any ('{${ids.slice(0, 60).join(',')}}')`);
  const seen = async () => (await screen.text('.rows')).match(/completed/g)?.length ?? 0;
  await until('the rows that are shown have completed', async () => (await seen()) >= 50, BUSY_MS);
  assert.deepEqual(await place(), before);
  await screen.sees('100+ new', '.list-line');
  assert.ok(await isUnchanged());
  await screen.page.evaluate(() => scrollTo(0, 0));
  await screen.press('100+ new');
  await until('the new rows are there', async () => !(await screen.page.$('.pill')));
  await until('all have ended', async () => (await world.sql(`select count(*) from df.instances where label = 'many' and status <> 'completed'`)) === '0', BUSY_MS);
});

test('a dialog and a selection survive what comes meanwhile, and many are cancelled by a typed count', async () => {
  await world.sql(`insert into df.submit (dsl, label) select 'df.wait_for_signal(''x'')', 'bulk' from generate_series(1, 7)`);
  await until('all wait', async () => (await world.sql(`select count(*) from df.waiting() where name = 'x'`)) === '7');
  await screen.go('#/instances?label=bulk');
  await until('seven rows', async () => (await screen.page.$$('tr[data-row]')).length === 7);
  await screen.page.click('tr[data-row] input');
  await screen.sees('1 instance selected', '.list-line');
  await world.submit(`'SELECT 1'`, 'bulk');
  await screen.press('Act on all…');
  await screen.sees('7 instances will be cancelled', 'dialog');
  await screen.fill('dialog [name=confirm]', '6');
  assert.ok(await screen.page.$eval('dialog [type=submit]', (button) => button.disabled));
  await screen.fill('dialog [name=confirm]', '7');
  await world.submit(`'SELECT 1'`, 'bulk');
  assert.equal(await screen.page.$eval('dialog [name=confirm]', (field) => field.value), '7');
  await screen.press('Cancel 7', 'dialog');
  await until('all are cancelled', async () => (await world.sql(`select count(*) from df.instances where label = 'bulk' and status = 'cancelled'`)) === '7');
  await until('the list shows it', async () => ((await screen.text('.rows')).match(/cancelled/g) ?? []).length >= 7);
});

test('everything is reached with the keyboard alone', async () => {
  const id = await world.submit(`'SELECT 1' ~> df.if('SELECT true', 'SELECT 2', 'SELECT 3')`, 'keys');
  await world.status(id, 'completed');
  const {keyboard} = screen.page;
  const at = (pattern) => until(`the address is ${pattern}`, () => pattern.test(screen.page.url()));
  await screen.go('#/');
  await screen.sees('Overview', 'h1');
  await keyboard.press('g');
  await keyboard.press('w');
  await at(/#\/waiting$/);
  await keyboard.press('/');
  await until('the search has the focus', () => screen.page.evaluate(() => document.activeElement?.id === 'search'));
  await keyboard.type('keys');
  await keyboard.press('Enter');
  await at(/label=%25keys%25/);
  await until('one row', async () => (await screen.page.$$('tr[data-row]')).length === 1);
  await keyboard.press('j');
  await keyboard.press('Enter');
  await at(new RegExp(`#/i/${id}$`));
  await screen.page.waitForSelector('.graph .box');
  for (let n = 0; n < 40; n++) {
    await keyboard.press('Tab');
    if (await screen.page.evaluate(() => document.activeElement?.classList.contains('graph'))) break;
  }
  await keyboard.press('ArrowDown');
  await keyboard.press('ArrowDown');
  await keyboard.press('ArrowDown');
  await keyboard.press('Enter');
  await at(/\/n\/00000004$/);
  await screen.sees('SELECT 2', '.side');
  assert.equal(await screen.stateOf(5), 'skipped');
  await keyboard.press('3');
  await at(/history\/n\/00000004$/);
  await keyboard.press('Escape');
  await at(/history$/);
  await keyboard.press('?');
  await screen.sees('walk the graph', 'dialog');
  await keyboard.press('Escape');
  await until('the help is closed', async () => !(await screen.page.$('dialog')));
});

test('times are shown in the local zone or in UTC, and the choice is kept', async () => {
  const id = await world.submit(`'SELECT 1'`, 'times');
  await world.status(id, 'completed');
  const there = await Screen.open(world, browser, {zone: 'Asia/Kolkata'});
  await there.go(`#/i/${id}`);
  await there.sees('completed', '.why-line');
  const shown = () => there.page.$eval('.strip-facts time', (time) => [time.textContent, time.dateTime]);
  const [local, iso] = await shown();
  const minutes = (text) => Number(text.slice(-8, -6)) * 60 + Number(text.slice(-5, -3));
  const utc = Number(iso.slice(11, 13)) * 60 + Number(iso.slice(14, 16));
  assert.equal((minutes(local) - utc + 1440) % 1440, 330);
  await there.press('Local time, UTC+5:30');
  assert.equal(minutes((await shown())[0]), utc);
  await there.page.reload();
  await there.sees('UTC', '.bar');
  await there.page.evaluate(() => localStorage.clear());
  await there.isClean();
  await there.page.close();
});

test('of a result of 16 MB the beginning is shown, and the whole is downloaded', async () => {
  const id = await world.submit(`'SELECT repeat(''0123456789abcdef'', 1000000) AS big'`, 'large');
  await world.status(id, 'completed');
  await screen.go(`#/i/${id}`);
  await screen.sees('the first 64 kB of 15 MB', '.panel');
  const shown = await screen.page.$eval('.panel pre', (pre) => pre.textContent.length);
  assert.ok(shown <= 65536, String(shown));
  const got = await screen.page.evaluate(async () => {
    const answer = await fetch(document.querySelector('.panel a[download]').href);
    const bytes = await answer.arrayBuffer();
    const hash = await crypto.subtle.digest('SHA-256', bytes);
    return {size: bytes.byteLength, hash: [...new Uint8Array(hash)].map((b) => b.toString(16).padStart(2, '0')).join(''), disposition: answer.headers.get('content-disposition')};
  });
  const whole = await world.sql(`select octet_length(t), encode(sha256(convert_to(t, 'UTF8')), 'hex') from (select df.result('${id}')::text) x(t)`);
  assert.equal(`${got.size}|${got.hash}`, whole);
  assert.match(got.disposition, /attachment/);
});

test('a lost connection is said, and what is shown goes on when it returns', async () => {
  const id = await world.submit(`df.wait_for_signal('back')`, 'patient');
  await screen.go(`#/i/${id}`);
  await screen.sees('waits for the signal', '.why-line');
  await mark();
  world.proxy.cut();
  await screen.sees('What is shown may be old');
  await world.sql(`select df.signal('${id}', 'back')`);
  await world.status(id, 'completed');
  world.proxy.mend();
  await screen.sees('completed', '.why-line');
  await until('the warning is gone', async () => !(await screen.text()).includes('may be old'));
  assert.ok(await isUnchanged());
});

test('where no stream gets through, the page asks again and again', async () => {
  const {page} = screen;
  await page.setRequestInterception(true);
  const refuse = (request) => (request.url().includes('/api/stream') ? request.respond({status: 502}) : request.continue());
  page.on('request', refuse);
  try {
    const id = await world.submit("df.wait_for_signal('go') ~> 'SELECT 2'", 'polled');
    await screen.go(`#/i/${id}`);
    await screen.sees('polling');
    await screen.sees('waits for the signal go', '.why-line');
    await world.sql(`select df.signal('${id}', 'go')`);
    await screen.sees('completed', '.why-line');
  } finally {
    page.off('request', refuse);
    await page.setRequestInterception(false);
  }
});

test('a database that was away comes back', async () => {
  await screen.go('#/');
  await screen.sees('Overview', 'h1');
  await mark();
  await world.postgres.stop('SIGINT');
  await screen.sees('What is shown may be old');
  await world.startPostgres();
  await until('the warning is gone', async () => !(await screen.text()).includes('may be old'));
  assert.ok(await isUnchanged());
});

test('nothing of all this was an error of the page', () => screen.isClean());
