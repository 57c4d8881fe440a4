// A private PostgreSQL, a daemon and a durabled ui, all real, and a browser: what the tests of the page stand on.

import {execFile, spawn} from 'node:child_process';
import {chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createServer, connect} from 'node:net';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import puppeteer from 'puppeteer-core';

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const durabled = process.env.DURABLED_BINARY ?? join(here, '../../build/durabled');
const programs = process.env.DURABLED_PG_BIN ?? '/usr/lib/postgresql/17/bin';
const LIMIT_MS = 60000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for a condition; returns what it gave. Throws with what it waited for. */
export async function until(what, condition, limit = LIMIT_MS) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await pause(30);
  }
}

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const {port} = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A program that runs, with what it wrote. It dies with this process. */
class Program {
  constructor(argv, options = {}) {
    this.output = '';
    // setpriv lets no program outlive a test run that was killed.
    const [command, ...rest] = ['setpriv', '--pdeathsig', options.deathsig ?? 'TERM', ...(options.prefix ?? []), '--', ...argv];
    this.child = spawn(command, rest, {stdio: ['ignore', 'pipe', 'pipe'], cwd: options.cwd, env: {...process.env, ...options.env}});
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (data) => { this.output += data; });
    this.ended = new Promise((resolve) => this.child.on('exit', () => {
      this.over = true;
      resolve();
    }));
  }

  async says(pattern) {
    return until(`${pattern} is written`, () => {
      const found = pattern.exec(this.output);
      if (!found && this.over) throw new Error(`it ended:\n${this.output}`);
      return found;
    });
  }

  async stop(signal = 'SIGTERM') {
    if (!this.over) this.child.kill(signal);
    await this.ended;
  }
}

/** Hands connections on to another port, until it is cut. */
class Proxy {
  constructor(target) {
    this.target = target;
    this.sockets = new Set();
    this.refuse = false;
    this.server = createServer((socket) => {
      if (this.refuse) return socket.destroy();
      const other = connect(this.target, '127.0.0.1');
      for (const [a, b] of [[socket, other], [other, socket]]) {
        this.sockets.add(a);
        a.on('error', () => b.destroy());
        a.on('close', () => {
          this.sockets.delete(a);
          b.destroy();
        });
      }
      socket.pipe(other).pipe(socket);
      return undefined;
    });
  }

  async listen(port) {
    await new Promise((resolve) => this.server.listen(port, '127.0.0.1', resolve));
  }

  /** Nobody gets through, and those who did are cut off. */
  cut() {
    this.refuse = true;
    for (const socket of this.sockets) socket.destroy();
  }

  mend() {
    this.refuse = false;
  }

  close() {
    this.cut();
    this.server.close();
  }
}

export class World {
  static async start() {
    const world = new World();
    try {
      await world.startServer();
      await world.startDaemon();
      await world.startUi();
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'durabled-ui.'));
    this.browsers = [];
  }

  async startServer() {
    const {directory} = this;
    const root = process.getuid() === 0;
    if (root) {
      const id = async (flag) => Number((await run('id', [flag, 'postgres'])).stdout);
      chownSync(directory, await id('-u'), await id('-g'));
    }
    this.as = root ? ['--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
    const data = join(directory, 'data');
    await run('setpriv', [...this.as, '--', join(programs, 'initdb'), '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
      {cwd: directory});
    this.port = await freePort();
    writeFileSync(join(data, 'postgresql.auto.conf'), `listen_addresses = '127.0.0.1'\nunix_socket_directories = '${directory}'\nport = ${this.port}
fsync = off\nfull_page_writes = off\nmax_connections = 100\nshared_buffers = 64MB\ntimezone = 'UTC'\n`);
    await this.startPostgres();
    await this.sql('create role owner login; create role alice login; create role bob login; create database app owner owner;', 'postgres', 'postgres');
    await run(durabled, ['init', '--database', this.conninfo('owner')]);
    await this.sql("select df.grant_usage('alice', true); select df.grant_usage('bob'); grant create on schema public to alice;", 'owner');
    await this.sql('grant all on schema public to alice', 'postgres');
  }

  async startPostgres() {
    this.postgres = new Program([join(programs, 'postgres'), '-D', join(this.directory, 'data')], {prefix: this.as, deathsig: 'QUIT', cwd: this.directory});
    await until('PostgreSQL accepts connections', async () => {
      if (this.postgres.over) throw new Error(this.postgres.output);
      return run('psql', ['-XAtqd', `host=${this.directory} port=${this.port} dbname=postgres user=postgres`, '-c', 'select 1']).then(() => true, () => false);
    });
  }

  conninfo(role, database = 'app') {
    return `host=${this.directory} port=${this.port} dbname=${database} user=${role}`;
  }

  /** Runs SQL and returns what psql prints: a row a line, columns with | between. */
  async sql(text, role = 'alice', database = 'app') {
    const child = spawn('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', this.conninfo(role, database)], {stdio: ['pipe', 'pipe', 'pipe']});
    let out = '';
    let problem = '';
    child.stdout.on('data', (data) => { out += data; });
    child.stderr.on('data', (data) => { problem += data; });
    child.stdin.end(text);
    const status = await new Promise((resolve) => child.on('close', resolve));
    if (status !== 0) throw new Error(`${problem}\nin: ${text.slice(0, 500)}`);
    return out.trim();
  }

  /** Submits a workflow and returns its id. */
  submit(dsl, label = null, role = 'alice') {
    const quote = (text) => (text === null ? 'null' : `'${text.replaceAll("'", "''")}'`);
    return this.sql(`insert into df.submit (dsl, label) values (${quote(dsl)}, ${quote(label)}) returning id`, role);
  }

  async status(id, wanted) {
    return until(`${id} is ${wanted}`, async () => (await this.sql(`select status from df.instances where id = '${id}'`, 'owner')) === wanted);
  }

  async startDaemon() {
    const file = join(this.directory, 'durabled.yaml');
    writeFileSync(file, `database: "${this.conninfo('owner')}"\nretry: {delay: 20ms, max_delay: 200ms}\nloop: {min_interval: 10ms}\n`);
    this.daemon = new Program([durabled, 'run', '--config', file]);
    await until('a daemon is registered', async () => {
      if (this.daemon.over) throw new Error(this.daemon.output);
      return (await this.sql('select count(*) from df.workers', 'owner')) !== '0';
    });
  }

  /** The page behind a proxy of ours, so that a test can cut the connection. */
  async startUi(...more) {
    const port = await freePort();
    const outer = await freePort();
    this.ui = new Program([durabled, 'ui', '--database', this.conninfo('alice'), '--port', String(port), '--host', `127.0.0.1:${outer}`, ...more]);
    const [, token] = await this.ui.says(/#token=(\S+)/);
    this.proxy = new Proxy(port);
    await this.proxy.listen(outer);
    this.base = `http://127.0.0.1:${outer}/`;
    this.link = `${this.base}#token=${token}`;
  }

  /** A browser that has signed in; its pages count what the content policy reports. */
  async browser() {
    const executable = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync);
    if (!executable) throw new Error('Chromium is not installed: apt-get install chromium');
    const profile = join(this.directory, `profile-${this.browsers.length}`);
    mkdirSync(profile);
    const browser = await puppeteer.launch({
      executablePath: executable, userDataDir: profile, protocolTimeout: LIMIT_MS * 3,
      args: [...(process.getuid() === 0 ? ['--no-sandbox'] : []), '--disable-gpu', '--disable-dev-shm-usage', '--lang=en-US'],
    });
    this.browsers.push(browser);
    return browser;
  }

  async stop() {
    for (const browser of this.browsers) await browser.close().catch(() => {});
    this.proxy?.close();
    await this.ui?.stop();
    await this.daemon?.stop();
    await this.postgres?.stop('SIGQUIT');
    rmSync(this.directory, {recursive: true, force: true, maxRetries: 5});
  }
}

/** A page of the browser with what tests ask of it. */
export class Screen {
  static async open(world, browser, {width = 1280, height = 860, zone, theme = 'light'} = {}) {
    const page = await browser.newPage();
    const screen = new Screen(world, page);
    page.on('pageerror', (error) => screen.problems.push(`error: ${error.message}`));
    page.on('dialog', (dialog) => {
      screen.problems.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on('console', (message) => {
      if (message.type() === 'error' && !/Failed to load resource|net::ERR/.test(message.text())) screen.problems.push(`console: ${message.text()}`);
    });
    await page.evaluateOnNewDocument(() => {
      globalThis.reports = [];
      addEventListener('securitypolicyviolation', (event) => globalThis.reports.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
    });
    page.setDefaultTimeout(LIMIT_MS);
    await page.setViewport({width, height});
    await page.emulateMediaFeatures([{name: 'prefers-color-scheme', value: theme}]);
    if (zone) await page.emulateTimezone(zone);
    return screen;
  }

  constructor(world, page) {
    this.world = world;
    this.page = page;
    this.problems = [];
  }

  /** Signs in with the link that durabled ui printed; once for a browser. */
  async signIn() {
    await this.page.goto(this.world.link);
    await this.sees('Overview');
  }

  /** Goes to an address within the page, as a deep link does. */
  async go(hash) {
    if (this.page.url().startsWith(this.world.base)) await this.page.evaluate((to) => { location.hash = to; }, hash);
    else await this.page.goto(this.world.base + hash);
  }

  text(selector = 'body') {
    return this.page.evaluate((query) => document.querySelector(query)?.innerText ?? '', selector);
  }

  /** Waits for text, or for text that fits a pattern. */
  async sees(wanted, selector = 'body') {
    let last = '';
    const fits = (text) => (wanted instanceof RegExp ? wanted.test(text) : text.includes(wanted));
    try {
      await until('', async () => fits((last = await this.text(selector))), LIMIT_MS);
    } catch {
      throw new Error(`the page does not show ${wanted} in ${selector} but:\n${last.slice(0, 3000)}\n${this.problems.join('\n')}`);
    }
  }

  /** Presses the button or link with this name. */
  async press(name, within = 'body') {
    const found = await until(`there is a button ${name}`, () => this.page.evaluateHandle((wanted, query) => {
      const all = [...document.querySelectorAll(`${query} button, ${query} a, ${query} [role=treeitem]`)];
      const nameOf = (el) => (el.getAttribute('aria-label') ?? el.innerText).trim();
      return all.find((el) => nameOf(el) === wanted) ?? all.find((el) => nameOf(el).startsWith(wanted)) ?? null;
    }, name, within).then((handle) => handle.asElement()));
    await found.click();
  }

  async fill(selector, text) {
    await this.page.waitForSelector(selector);
    await this.page.$eval(selector, (field) => field.select());
    await this.page.type(selector, text);
  }

  /** The class names of the box or line of a node. */
  stateOf(node) {
    return this.page.evaluate((n) => document.querySelector(`#g-${n}`)?.closest('.box')?.className.match(/st-(\w+)/)?.[1] ?? '', node);
  }

  /** Fails where the page threw, opened a dialog, or the content policy reported anything. */
  async isClean() {
    const reports = await this.page.evaluate(() => globalThis.reports);
    const all = [...this.problems, ...reports];
    if (all.length) throw new Error(`the page is not clean:\n${all.join('\n')}`);
  }
}

/** What looks for obstacles to people who use the page without eyes, mouse or colours. */
export const axeSource = () => readFileSync(join(here, 'node_modules/axe-core/axe.min.js'), 'utf8');
