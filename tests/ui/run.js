// Runs the tests of the page and ends with the summary that ./dev test reads of every test program.
// Arguments: a file (layout_test.js) or a part of a test's name, with * for any text.

import {readdirSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {run} from 'node:test';
import {fileURLToPath} from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const all = readdirSync(here).filter((name) => name.endsWith('_test.js')).sort();
const [filter] = process.argv.slice(2);
const files = all.filter((name) => name === filter);
const escaped = (text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
const testNamePatterns = filter && !files.length ? [new RegExp(`^${escaped(filter)}$`)] : undefined;

let passed = 0;
let failed = 0;
const stream = run({
  files: (files.length ? files : all).map((name) => join(here, name)),
  concurrency: 1,
  testNamePatterns,
});
stream.on('test:pass', (event) => {
  // A file without a test that fits is reported as a test of its own.
  if (event.skip !== undefined || event.name.endsWith('_test.js') || event.details.type === 'suite') return;
  passed++;
  process.stdout.write(`passed: ${event.name} (${Math.round(event.details.duration_ms)} ms)\n`);
});
stream.on('test:fail', (event) => {
  if (event.details.type === 'suite') return;
  failed++;
  const {error} = event.details;
  process.stdout.write(`FAILED: ${event.name}\n${error.cause?.stack ?? error.stack ?? error}\n\n`);
});
stream.on('test:stdout', (event) => process.stdout.write(event.message));
stream.on('test:stderr', (event) => process.stdout.write(event.message));
stream.on('end', () => {
  if (passed + failed === 0) process.stdout.write('No tests ran\n');
  else if (failed === 0) process.stdout.write(`All tests passed (${passed} assertions in ${passed} test cases)\n`);
  else process.stdout.write(`test cases: ${passed + failed} | ${passed} passed | ${failed} failed\n`);
  process.exitCode = failed ? 1 : 0;
});
stream.resume();
