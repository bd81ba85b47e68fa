#!/usr/bin/env node
/**
 * `npm test`: unit tests (Node), GPU tests (Node on a GPU or a software one), browser tests (Chromium). Ends with names: what was
 * skipped, what failed, what passed only when it was tried again (with `CI` set alone); and one line, summed over all of them:
 * `N passed, N failed, N skipped`.
 *
 *   npm test -- split            only test files whose path contains "split"
 *   npm test -- --only unit,gpu  only these suites
 *   npm test -- --complete       a suite that cannot run here is a failure, not skipped
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { ensureChromium } from './ensure-chromium.mjs';
import { ensureVulkan } from './ensure-vulkan.mjs';

const root = join(import.meta.dirname, '..');
const reports = join(root, 'output', 'tests');

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, complete: { type: 'boolean', default: false } },
});

const suites = [
  { name: 'unit', title: 'Unit tests, in Node', run: (env) => vitest('unit', env) },
  { name: 'gpu', title: 'GPU tests, in Node', needs: gpu, run: (env) => vitest('gpu', env) },
  { name: 'browser', title: 'Browser tests, in Chromium', needs: browser, run: playwright },
];
const only = options.only?.split(',') ?? suites.map(({ name }) => name);
const unknown = only.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  console.error(`There is no suite “${unknown.join(', ')}”; there are ${suites.map(({ name }) => name).join(', ')}.`);
  process.exit(2);
}

const total = { passed: 0, failed: 0, skipped: 0 };
const lines = [];
for (const suite of suites) {
  const files = testFiles(join(root, 'tests', suite.name));
  if (!only.includes(suite.name)) {
    lines.push(`${suite.name}: left out by --only`);
    continue;
  }
  if (filters.length > 0 && !files.some((file) => filters.some((filter) => file.includes(filter)))) {
    lines.push(`${suite.name}: no file matches ${filters.join(' ')}`);
    continue;
  }
  console.log(`\n── ${suite.title} ──`);
  const found = suite.needs?.() ?? { env: {}, note: '' };
  if (found.missing) {
    const verdict = options.complete ? 'failed' : 'skipped';
    total[verdict] += files.length;
    const note = `${suite.name}: ${files.length} files ${verdict}: ${found.missing}`;
    lines.push(options.complete ? failure(note) : note);
    console.log(note);
    continue;
  }
  if (found.note) console.log(found.note);
  const start = performance.now();
  const counts = suite.run(found.env);
  for (const key of Object.keys(total)) total[key] += counts[key];
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  lines.push(
    `${suite.name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped in ${seconds} s` +
      (found.note ? ` (${found.note})` : ''),
    ...counts.notes,
  );
}

console.log(`\n── All ──\n${lines.join('\n')}\n`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 ? 1 : 0);

function gpu() {
  const adapter = ensureVulkan(console.log);
  if (adapter.label === null) return { missing: adapter.why };
  return { env: adapter.env, note: `on ${adapter.label}${adapter.software ? ', a software GPU' : ''}` };
}

function browser() {
  const { path, how } = ensureChromium(console.log);
  return path ? { env: { CHROMIUM: path }, note: `${path}, from ${how}` } : { missing: how };
}

function vitest(project, env) {
  const report = freshReport(project);
  const args = [
    'run',
    '--project',
    project,
    '--passWithNoTests',
    '--reporter=default',
    '--reporter=json',
    ...again('retry'),
  ];
  const status = start('vitest', [...args, `--outputFile.json=${report}`, ...filters], env);
  if (!existsSync(report)) return crashed(`Vitest ended with status ${status} and left no report`);
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = read(report);
  // A file that cannot be loaded has no tests to fail.
  const broken = testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  const failed = numFailedTests + broken.length;
  return {
    passed: numPassedTests,
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped: numPendingTests + numTodoTests,
    notes: [
      ...testResults
        .flatMap(({ assertionResults }) => assertionResults)
        .filter((test) => ['pending', 'skipped', 'todo'].includes(test.status))
        .map((test) => `  skipped: ${test.fullName}`),
      ...broken.map((file) => failure(file.name.slice(root.length + 1), file.message)),
      ...testResults.flatMap(({ name, assertionResults }) =>
        assertionResults
          .filter((test) => test.failureMessages.length > 0)
          .map((test) => {
            const title = `${name.slice(root.length + 1)}: ${test.fullName}`;
            return failure(title, test.failureMessages.join('\n'), test.status === 'passed');
          }),
      ),
    ],
  };
}

function playwright(env) {
  const report = freshReport('browser');
  const args = ['test', '--pass-with-no-tests', '--reporter=list,json', ...again('retries'), ...filters];
  const status = start('playwright', args, { ...env, PLAYWRIGHT_JSON_OUTPUT_NAME: report });
  if (!existsSync(report)) return crashed(`Playwright ended with status ${status} and left no report`);
  const { stats, suites: roots, errors } = read(report);
  const failed = stats.unexpected + errors.length;
  const skipped = roots.flatMap(specsOf).flatMap((spec) =>
    spec.tests
      .filter((test) => test.status === 'skipped')
      .map((test) => {
        const reason = test.annotations.find(({ type }) => type === 'skip' || type === 'fixme')?.description;
        return `  skipped: ${spec.title} [${test.projectName}]${reason ? `: ${reason}` : ''}`;
      }),
  );
  const failures = roots.flatMap(specsOf).flatMap((spec) =>
    spec.tests
      .filter((test) => ['unexpected', 'flaky'].includes(test.status))
      .map((test) => {
        const said = test.results.flatMap((result) => result.errors).map(({ message }) => message);
        const title = `${spec.file}: ${spec.title} [${test.projectName}]`;
        return failure(title, said.join('\n'), test.status === 'flaky');
      }),
  );
  return {
    passed: stats.expected + stats.flaky,
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped: stats.skipped,
    notes: [...skipped, ...failures, ...errors.map(({ message }) => failure('Playwright', message))],
  };
}

/**
 * A test that failed, for the end of the output: its name and, set in and without colours, the beginning of what it says. `passed`: when
 * it was tried again; what it said before is a fault of the test, or of what it tests.
 */
function failure(title, message = '', passed = false) {
  const lines = stripVTControlCharacters(message).split('\n');
  const said = lines.filter((line) => !/^\s*($|at (.*node_modules|new Promise))/.test(line)).slice(0, 12);
  const head = passed ? `↻ passed only when tried again: ${title}` : `✗ ${title}`;
  return [head, ...said.map((line) => `    ${line.slice(0, 300)}`)].join('\n');
}

/** On a machine of others, busy with what nobody knows, once more before a run of half an hour is lost; at a desk it fails at once. */
function again(option) {
  return process.env.CI ? [`--${option}=1`] : [];
}

function specsOf(suite) {
  return [...(suite.specs ?? []), ...(suite.suites ?? []).flatMap(specsOf)];
}

function start(tool, args, env) {
  const result = spawnSync('npx', ['--no-install', tool, ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
    shell: process.platform === 'win32',
  });
  return result.status ?? result.signal;
}

function crashed(note) {
  return { passed: 0, failed: 1, skipped: 0, notes: [failure(note)] };
}

function freshReport(name) {
  mkdirSync(reports, { recursive: true });
  const path = join(reports, `${name}.json`);
  rmSync(path, { force: true });
  return path;
}

function read(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function testFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((name) => /\.(test|spec)\.ts$/.test(name))
    .map((name) => join(folder, name).slice(root.length + 1));
}
