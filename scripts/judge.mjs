#!/usr/bin/env node
/**
 * `npm run judge`: the foreign judges, in Python. The fixtures are made again by torch and torchvision and compared with the
 * committed ones; the Core ML packages that the browser tests exported (output/e2e/NAME.zip, NAME.predictions.json) are read
 * and run by coremltools and numpy; our packages are put beside those of Apple's own converter; onnxruntime runs our ONNX
 * files; SkyPilot reads the cloud's task. Installs what it needs into .cache/python, .cache/python-torch and
 * .cache/python-cloud, and Debian's torch when root. Each script is one count of the last line, `N passed, N failed,
 * N skipped`; with --complete what cannot run is a failure. With --original FILE, the Core ML model that the pipeline before this one
 * shipped (no part of this repository), its extract is made again, too.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { aptInstall, isRootOnDebian } from './system.mjs';

/** ms that one judge may take. */
const MOST = 420_000;
const root = join(import.meta.dirname, '..');
const scripts = join(root, 'tests', 'python');
const exported = join(root, 'output', 'e2e');
const { values: options } = parseArgs({
  options: { complete: { type: 'boolean', default: false }, original: { type: 'string' } },
});

const total = { passed: 0, failed: 0, skipped: 0 };
const missing = options.complete ? 'failed' : 'skipped';
const pip = pythonWith('python', 'requirements.txt');
const torch = pythonWithTorch();
const withoutTorch = torch.missing || pip.missing;
// Both for Debian's torch and without what they name as theirs, which would bring another one.
const ignite = withoutTorch ? null : folderWith('ignite', ['pytorch-ignite==0.5.0.post2', 'packaging==26.3']);
const timm = withoutTorch ? null : folderWith('timm', ['timm==1.0.31']);

// Minutes on one processor, beside the fixtures.
const trained = join(root, 'output', 'trained');
rmSync(trained, { recursive: true, force: true });
const train = ['scripts/run.mjs', 'tests/tools/trainedExports.ts', trained];
const training = judge('trained networks, exported and certified', { path: process.execPath }, train, { show: true });

for (const name of readdirSync(scripts).sort()) {
  const text = /^make_.*\.py$/.test(name) ? readFileSync(join(scripts, name), 'utf8') : '';
  // The others make what cannot be made again to the byte.
  if (!/--check|^(import|from) fixture\b/m.test(text)) continue;
  const reads = name === 'make_reference_extract.py' ? [options.original] : [];
  if (reads.includes(undefined)) continue;
  const needsTorch = /^\s*(import|from) torch/m.test(text);
  const needsTimm = /^import timm/m.test(text);
  const python = needsTorch ? torch : pip;
  const here = needsTimm && !timm && !python.missing ? { missing: 'timm could not be installed' } : python;
  await judge(`${name} --check`, here, [join(scripts, name), ...reads, '--check']);
}

// What TypeScript writes, Python's libraries read: unit tests that wait for a Python.
if (!pip.missing) process.env.PACERID_PYTHON = pip.path;
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
await judge('safetensors and bundles, read by Python', pip.missing ? pip : { path: process.execPath }, [
  vitest,
  'run',
  '--project=unit',
  'tests/unit/weights/safetensors',
  'tests/unit/export/bundle',
]);

const predictions = existsSync(exported)
  ? readdirSync(exported).filter((file) => file.endsWith('.predictions.json'))
  : [];
for (const file of predictions.sort()) {
  const archive = file.replace('.predictions.json', '.zip');
  await judge(`judge_coreml.py ${archive}`, pip, [
    join(scripts, 'judge_coreml.py'),
    join(exported, archive),
    join(exported, file),
  ]);
}
if (predictions.length === 0) count(missing, 'judge_coreml.py', 'the browser tests have left no package in output/e2e');

const converter = pythonWithTorchAndCoremltools();
const cloud = pythonWith('python-cloud', 'requirements-cloud.txt');
/** Each of these keeps one processor busy: two at a time, the longest first. */
const exports = [
  () => judge('judge_table.py', converter, [join(scripts, 'judge_table.py'), '--images', '2'], { show: true }),
  () => judge('judge_mlmodel.py', converter, [join(scripts, 'judge_mlmodel.py')], { show: true }),
  () => judge('judge_onnx.py', converter, [join(scripts, 'judge_onnx.py')], { show: true }),
  () => judge('judge_kit.py', converter, [join(scripts, 'judge_kit.py')], { show: true }),
  () => judge('judge_pytorch.py', converter, [join(scripts, 'judge_pytorch.py')]),
  () => judge('judge_cloud.py', cloud, [join(scripts, 'judge_cloud.py')]),
];
const next = async () => {
  for (let work = exports.shift(); work; work = exports.shift()) await work();
};
const judgeTrained = async () => {
  await training;
  await judge('judge_trained.py', converter, [join(scripts, 'judge_trained.py'), trained], { show: true });
};
await Promise.all([next(), judgeTrained().then(next)]);

console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 ? 1 : 0);

/** `show`: its whole output where it passes, too. */
async function judge(title, python, args, { show = false } = {}) {
  if (python.missing) return count(missing, title, python.missing);
  const start = performance.now();
  const folders = [ignite, timm].filter(Boolean).join(delimiter);
  // On two processors OpenMP's threads are in each other's way while they wait.
  const env = {
    ...process.env,
    OMP_WAIT_POLICY: 'PASSIVE',
    ...(python === torch && folders !== '' && { PYTHONPATH: folders }),
  };
  const { status, stdout, stderr } = await run(python.path, args, env);
  const seconds = `${((performance.now() - start) / 1000).toFixed(0)} s`;
  const said = stdout.trim();
  const output = `${said}\n${stderr}`.trim();
  if (status === 0 && show) console.log(said);
  if (status === 0) return count('passed', title, `${(said || output).split('\n').at(-1)} (${seconds})`);
  return count('failed', title, `${seconds}, ${status}\n${output}`);
}

/** Ends after `MOST`; status 0, or what went wrong. */
function run(path, args, env) {
  return new Promise((resolve) => {
    const child = spawn(path, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: MOST });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.on('error', (error) => resolve({ status: String(error), stdout, stderr }));
    child.on('close', (code, signal) => resolve({ status: code ?? `ended by ${signal}`, stdout, stderr }));
  });
}

function count(verdict, title, note) {
  total[verdict]++;
  const mark = { passed: '✓', failed: '✗', skipped: '-' }[verdict];
  console.log(`${mark} ${title}: ${verdict === 'skipped' ? 'skipped, ' : ''}${note}`);
}

/** A virtual environment in .cache with what a file in tests/python lists; `beside` the packages of the Python given there. */
function pythonWith(name, list, beside = null) {
  const folder = join(root, '.cache', name);
  const path = join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const stamp = join(folder, 'requirements.txt');
  const requirements = readFileSync(join(scripts, list), 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === requirements) return { path };

  console.log(`Installing what tests/python/${list} names into .cache/${name} …`);
  mkdirSync(join(root, '.cache'), { recursive: true });
  const venv = ['-m', 'venv', '--clear', ...(beside === null ? [] : ['--system-site-packages']), folder];
  const create = () => spawnSync(beside ?? 'python3', venv, { encoding: 'utf8' });
  let made = create();
  if (made.status !== 0 && isRootOnDebian()) {
    const failure = aptInstall(['python3', 'python3-venv']);
    if (failure) return { missing: `python3-venv could not be installed (${failure})` };
    made = create();
  }
  if (made.status !== 0)
    return { missing: `no Python environment: ${made.error ?? (made.stdout + made.stderr).trim()}` };
  const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', join(scripts, list)];
  const installed = spawnSync(path, args, { encoding: 'utf8', timeout: 600_000 });
  if (installed.status !== 0) return { missing: `pip failed: ${installed.stderr.trim().split('\n').at(-1)}` };
  writeFileSync(stamp, requirements);
  return { path };
}

/** Debian's Python with torch and torchvision: PyPI's would bring gigabytes of CUDA. */
function pythonWithTorch() {
  const path = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
  const works = () => spawnSync(path, ['-c', 'import torch, torchvision, numpy']).status === 0;
  if (works()) return { path };
  if (!isRootOnDebian()) return { missing: 'no torch and torchvision (Debian: python3-torch, python3-torchvision)' };
  console.log('Installing Debian’s torch and torchvision …');
  const install = () => aptInstall(['python3-torch', 'python3-torchvision']);
  // torchvision wants Qt, Qt wants Mesa's EGL, and that in the version of the Mesa that is here, which may be backports'.
  const failure = install() && (aptInstall(['libegl-mesa0'], { backports: true }) ?? install());
  return works() ? { path } : { missing: `torch could not be installed (${failure ?? 'it does not import'})` };
}

/** Debian's torch and Apple's converter in one Python: the converter, with a NumPy that this torch knows. */
function pythonWithTorchAndCoremltools() {
  return torch.missing ? torch : pythonWith('python-torch', 'requirements-torch.txt', torch.path);
}

/**
 * Packages in pure Python, each as it is named here, in .cache/NAME; null where they can't be had: make_pytorch_files.py says what it
 * then left out.
 */
function folderWith(name, wanted) {
  const folder = join(root, '.cache', name);
  const stamp = join(folder, 'installed.txt');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted.join('\n')) return folder;
  const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--upgrade', '--target'];
  const installed = spawnSync(pip.path, [...args, folder, ...wanted], { encoding: 'utf8', timeout: 300_000 });
  if (installed.status !== 0) return null;
  writeFileSync(stamp, wanted.join('\n'));
  return folder;
}
