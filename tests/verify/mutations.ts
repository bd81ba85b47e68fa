/**
 * Mutation trials: mistakes that one could make, each of which must make a test fail. For each one of tests/verify/mutations/list.ts a
 * private copy of the tree is changed and its test run, which must fail (not to load, or to compile as WGSL, is no failure); unchanged,
 * all of them must pass first. Those of kernels for WebGPU are left out, and it says so, where there is no adapter.
 * Writes the result into docs/correctness.md; with `--only` (a part of names), or without an adapter, it only prints.
 *
 *   npm run verify -- mutations [--only BatchNorm]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { asTable, correctnessDoc, withWritten } from '../unit/support/correctnessDoc.ts';
import { changed, mutations, type Mutation } from './mutations/list.ts';

interface Outcome {
  readonly failed: readonly { readonly title: string; readonly message: string }[];
  readonly passed: number;
  /** Files that could not be loaded, and those that could. */
  readonly broken: readonly string[];
  readonly tested: readonly string[];
}

const root = process.cwd();
const copy = mkdtempSync(join(tmpdir(), 'pacerid-mutations-'));
const { only } = parseArgs({ options: { only: { type: 'string' } } }).values;
const named = mutations.filter(({ name }) => only === undefined || name.includes(only));
if (named.length === 0) throw new Error(`No mutation’s name has “${only}”.`);
const adapter = named.some(({ project }) => project === 'gpu') ? findAdapter() : null;
const chosen = adapter?.env === null ? named.filter(({ project }) => project !== 'gpu') : named;
const leftOut = named.length - chosen.length;
if (leftOut > 0) console.log(`${leftOut} mutations of kernels for WebGPU are left out: ${adapter?.said}`);
else if (adapter) console.log(`Kernels for WebGPU run on ${adapter.said}.`);

const rows: string[][] = [];
const survivors: string[] = [];
try {
  copyTree();
  console.log(`${chosen.length} mutations; first the tests as they are …`);
  for (const project of ['unit', 'gpu'] as const) {
    const here = chosen.filter((one) => projectOf(one) === project);
    const wholly = new Set(here.filter((one) => one.only === undefined).map(({ test }) => test));
    const partly = here.filter(({ test }) => !wholly.has(test));
    expectPassed(project, [...wholly]);
    // Slow tests that judge no mutation are left out.
    expectPassed(project, [...new Set(partly.map(({ test }) => test))], partly.map((one) => one.only).join('|'));
  }
  for (const one of chosen) {
    const path = join(copy, one.file);
    const before = readFileSync(path, 'utf8');
    writeFileSync(path, changed(before, one));
    const started = performance.now();
    const { failed, broken, passed } = run(projectOf(one), [one.test], one.only);
    writeFileSync(path, before);
    if (broken.length > 0) throw new Error(`“${one.name}” is no mutation, it cannot be loaded: ${broken.join('; ')}`);
    const refused = failed.find(({ message }) => /GpuError|DeviceLostError/.test(message));
    if (refused) throw new Error(`“${one.name}” is no mutation, the device refuses it: ${refused.message}`);
    if (failed.length === 0 && passed === 0) throw new Error(`“${one.name}”: no test of ${one.test} has ${one.only}.`);
    const [first] = failed;
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    console.log(`${first ? '✓ caught  ' : '✗ SURVIVES'} ${one.name} (${seconds} s)${first ? `: ${first.title}` : ''}`);
    if (first) rows.push([one.name, `\`${one.file}\``, `\`${one.test}\`: ${first.title}`]);
    else survivors.push(one.name);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
console.log(`\n${rows.length} of ${chosen.length} mutations were caught.`);
if (survivors.length > 0) console.log(`Survivors: ${survivors.join('; ')}`);
else if (only === undefined && leftOut === 0) write();
process.exit(survivors.length === 0 ? 0 : 1);

/** Its name, and what it needs in the environment; or why there is none, and null. */
function findAdapter(): { said: string; env: Record<string, string> | null } {
  const { status, stdout } = spawnSync(process.execPath, ['scripts/ensure-vulkan.mjs'], { encoding: 'utf8' });
  const said = stdout.trim().split('\n')[0] ?? '';
  const env = Object.fromEntries(
    [...stdout.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]),
  );
  return { said, env: status === 0 ? env : null };
}

/** What git knows or would know, as it is on the disk; packages and the bundle of tfjs by links. */
function copyTree(): void {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    encoding: 'utf8',
  });
  for (const name of listed.split('\0')) {
    if (!/^(src|tests|configs|public)\/|^[^/]+\.(json|ts|js)$/.test(name) || !existsSync(name)) continue;
    mkdirSync(join(copy, dirname(name)), { recursive: true });
    cpSync(name, join(copy, name));
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  mkdirSync(join(copy, '.cache'));
  for (const name of existsSync('.cache') ? readdirSync('.cache') : [])
    if (name.startsWith('tensorflow-')) symlinkSync(join(root, '.cache', name), join(copy, '.cache', name));
}

function projectOf({ project }: Mutation): 'unit' | 'gpu' {
  return project ?? 'unit';
}

function expectPassed(project: 'unit' | 'gpu', files: readonly string[], pattern?: string): void {
  if (files.length === 0) return;
  const { failed, broken, tested } = run(project, files, pattern);
  const wrong = [...broken, ...failed.map((one) => one.title), ...files.filter((file) => !tested.includes(file))];
  if (wrong.length > 0) throw new Error(`Without any mutation there fails, or is missing: ${wrong.join('; ')}`);
}

function run(project: 'unit' | 'gpu', files: readonly string[], pattern?: Mutation['only']): Outcome {
  const report = join(copy, 'report.json');
  rmSync(report, { force: true });
  const filter = pattern === undefined ? [] : ['-t', pattern];
  const args = ['--no-install', 'vitest', 'run', '--project', project, '--reporter=json', `--outputFile=${report}`];
  const env = { ...process.env, ...(project === 'gpu' && adapter?.env) };
  const { stderr } = spawnSync('npx', [...args, ...files, ...filter], { cwd: copy, encoding: 'utf8', env });
  if (!existsSync(report)) throw new Error(`Vitest left no report of ${files.join(', ')}: ${stderr}`);
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as {
    testResults: {
      name: string;
      status: string;
      message: string;
      assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
    }[];
  };
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  return {
    tested: testResults.map(({ name }) => relative(realpathSync(copy), name)),
    failed: tests
      .filter(({ status }) => status === 'failed')
      .map(({ fullName, failureMessages }) => ({ title: fullName.trim(), message: failureMessages[0] ?? '' })),
    passed: tests.filter(({ status }) => status === 'passed').length,
    broken: testResults
      .filter(({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0)
      .map(({ name, message }) => `${name}: ${message}`),
  };
}

function write(): void {
  const intro = `${rows.length} mutations on ${new Date().toISOString().slice(0, 10)} with \`npm run verify -- mutations\`; each was caught.`;
  const table = asTable(['Mistake', 'In', 'Caught by'], rows);
  writeFileSync(correctnessDoc, withWritten(readFileSync(correctnessDoc, 'utf8'), 'mutations', `${intro}\n\n${table}`));
  spawnSync('npx', ['--no-install', 'prettier', '--write', correctnessDoc], { stdio: 'inherit' });
}
