#!/usr/bin/env node
/**
 * `npm run bundle`: one folder for a USB stick or an intranet, with the page, weights, and a small server for Node and for Python.
 *
 * Made again in the same folder, it replaces what it brought and leaves what others put beside the page.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { runnerImport } from 'vite';
import { buildWhereOlder } from './build.mjs';
import { isMain } from './system.mjs';

const root = join(import.meta.dirname, '..');
const templates = join(import.meta.dirname, 'offline');
const weightsFolder = join(root, 'public', 'weights');

const usage = `npm run bundle [-- FLAGS]

  --out FOLDER           where to; default pacerid-offline
  --weights NAME,…|none  pretrained weights to take along, fetched where they aren't here yet: densenet121, resnet50,
                         mobilenet_v3_small; default: those in public/weights
  --data FILE            a data set's zip for page/sets, opened by ?dataset=sets/FILE; may be given again
  --model FILE           a trained model's zip for page/models, opened by ?model=models/FILE; may be given again
  --help`;

/** Whoever reads it later knows the folder by its first line; so does this command. */
const MARK = 'PacerID Studio for computers without internet';
/** What lies beside the page and may be somebody else's. */
const BESIDE = ['weights', 'sets', 'models'];
const STARTS = ['serve.mjs', 'serve.py', 'start.sh', 'Start on macOS.command', 'Start on Windows.cmd'];

/** Ends the command with what happened, what was kept, what to do. */
class Refusal extends Error {
  constructor(name, message, kept, remedy, options) {
    super(message, options);
    Object.assign(this, { name, kept, remedy });
  }
}

if (isMain(import.meta.url)) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    console.error(`${error.name}: ${error.message}\nKept: ${error.kept}\nWhat to do: ${error.remedy}`);
    process.exit(error.name === 'UsageError' ? 2 : 1);
  }
}

async function main(args) {
  const options = optionsOf(args);
  if (options.help) return console.log(usage);
  const out = resolve(options.out);
  checkPlace(out);
  const zips = [...options.data.map((file) => ['sets', file]), ...options.model.map((file) => ['models', file])];
  for (const [, file] of zips) checkZip(file);
  checkNames(zips);
  const weights = ensureWeights(options.weights);
  await buildWhereOlder(root);
  const { module } = await runnerImport(join(root, 'src/serviceWorker/policy.ts'), { root, configFile: false });
  const { bytes } = await writeBundle({
    out,
    dist: join(root, 'dist'),
    beside: [...weights.map((file) => ['weights', file]), ...zips],
    headers: { ...module.policyHeaders, 'Cache-Control': 'no-cache' },
  });
  console.log(
    `PacerID Studio is in ${out} (${(bytes / 1e6).toFixed(1)} MB; weights: ${namesOf(weights)}).\n` +
      'Copy the whole folder; README.txt in it says how to start, and what an intranet needs.',
  );
}

/**
 * `dist` is a built page; `beside` are `[folder, file]`: files to lie in `page/folder/`. Answers with the bytes written. Throws a
 * `Refusal` where `out` can't be written.
 */
export async function writeBundle({ out, dist, beside, headers }) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const weights = beside.filter(([folder]) => folder === 'weights').map(([, file]) => file);
  const { types } = JSON.parse(readFileSync(join(templates, 'serve.json'), 'utf8'));
  const readme = readFileSync(join(templates, 'README.txt'), 'utf8')
    .replaceAll('{version}', version)
    .replaceAll('{date}', new Date().toISOString().slice(0, 10))
    .replaceAll('{weights}', namesOf(weights))
    .replaceAll('{port}', '4180');
  const sums = join(out, 'SHA256SUMS');
  try {
    mkdirSync(out, { recursive: true });
    const before = existsSync(sums) ? readFileSync(sums, 'utf8').split('\n') : [];
    // Before all else: a bundle that was cut off knows itself by it.
    const files = [await write('README.txt', { text: readme.replaceAll('\n', '\r\n') })];
    clear(join(out, 'page'), new Set(before.map((line) => line.slice(66))));
    for (const path of filesIn(dist))
      if (!path.startsWith('weights/')) files.push(await write(`page/${path}`, { from: join(dist, path) }));
    for (const [folder, from] of beside) files.push(await write(`page/${folder}/${basename(from)}`, { from }));
    for (const name of STARTS) {
      const text = readFileSync(join(templates, name), 'utf8');
      // Windows finds the labels of a batch file reliably only with its own line ends.
      files.push(await write(name, { text: name.endsWith('.cmd') ? text.replaceAll('\n', '\r\n') : text }));
      chmodSync(join(out, name), 0o755);
    }
    files.push(await write('serve.json', { text: `${JSON.stringify({ types, headers }, null, 2)}\n` }));
    files.push(await write('LICENSE', { from: join(root, 'LICENSE') }));
    const lines = files
      .map(({ path, sha256 }) => `${sha256}  ${path}\n`)
      .sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1));
    writeFileSync(sums, lines.join(''));
    return { bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
  } catch (error) {
    if (error.code === undefined) throw error;
    throw new Refusal(
      'BundleNotWrittenError',
      `The folder could not be written: ${error.message}.`,
      'Nothing but this folder was changed; it is not whole.',
      'Make room or choose another place with --out, and run it again.',
      { cause: error },
    );
  }

  async function write(path, { from, text }) {
    const to = join(out, path);
    mkdirSync(dirname(to), { recursive: true });
    const hash = createHash('sha256');
    if (text === undefined) {
      copyFileSync(from, to);
      await pipeline(createReadStream(from), hash);
    } else {
      writeFileSync(to, text);
      hash.update(text);
    }
    return { path, sha256: hash.digest('hex'), bytes: statSync(to).size };
  }
}

/** Removes the page of an earlier bundle; of what lies beside it, only what that bundle brought. */
function clear(page, brought) {
  if (!existsSync(page)) return;
  for (const name of readdirSync(page)) if (!BESIDE.includes(name)) rmSync(join(page, name), { recursive: true });
  for (const path of filesIn(page)) if (brought.has(`page/${path}`)) rmSync(join(page, path));
}

/** Below a folder, with `/`. */
function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)).replaceAll(sep, '/'));
}

function namesOf(weights) {
  if (weights.length === 0) return 'none';
  const size = (file) => `${(statSync(file).size / 1e6).toFixed(1)} MB`;
  return weights.map((file) => `${basename(file, '.safetensors')} (${size(file)})`).join(', ');
}

/** The folder is missing, empty, or was made by this command. */
function checkPlace(out) {
  const stat = statSync(out, { throwIfNoEntry: false });
  if (stat === undefined) return;
  // What computers put into each folder that they meet.
  const junk = /^(\.|Thumbs\.db$|desktop\.ini$|System Volume Information$|\$RECYCLE\.BIN$)/;
  const empty = stat.isDirectory() && readdirSync(out).every((name) => junk.test(name));
  const readme = join(out, 'README.txt');
  if (empty || (existsSync(readme) && readFileSync(readme, 'utf8').startsWith(MARK))) return;
  throw new Refusal(
    'NotABundleError',
    `${out} is there already, and was not made by npm run bundle.`,
    'Nothing was changed.',
    'Name a new folder with --out, or empty this one.',
  );
}

function checkZip(file) {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() && file.toLowerCase().endsWith('.zip')) return;
  throw new Refusal(
    'FileMissingError',
    `There is no zip ${file}.`,
    'Nothing was changed.',
    `--data and --model take zips. A relative path begins in ${process.cwd()}.`,
  );
}

/** The second would take the place of the first. */
function checkNames(zips) {
  const taken = new Map();
  for (const [folder, file] of zips) {
    // For Windows and macOS, A.zip and a.zip are one file.
    const path = `${folder}/${basename(file)}`.toLowerCase();
    const other = taken.get(path);
    if (other !== undefined)
      throw new Refusal(
        'SameNameError',
        `${other} and ${file} would be one file, page/${folder}/${basename(file)}.`,
        'Nothing was changed.',
        'Rename one of them, or name it once.',
      );
    taken.set(path, file);
  }
}

/** Paths of the weights files; what is missing is fetched. */
function ensureWeights(wanted) {
  if (wanted === undefined) {
    if (!existsSync(weightsFolder)) return [];
    const files = readdirSync(weightsFolder).filter((name) => name.endsWith('.safetensors'));
    return files.sort().map((name) => join(weightsFolder, name));
  }
  const names = wanted === 'none' ? [] : wanted.split(',');
  const pathOf = (name) => join(weightsFolder, `${name}.safetensors`);
  const missing = names.filter((name) => !/^\w+$/.test(name) || !existsSync(pathOf(name)));
  if (missing.length > 0) {
    const { status } = spawnSync(process.execPath, [join(root, 'scripts/cli.mjs'), 'fetch-weights', '--', ...missing], {
      stdio: 'inherit',
    });
    // It has said why.
    if (status !== 0) process.exit(status ?? 1);
  }
  return names.map(pathOf);
}

function optionsOf(args) {
  const [one, many] = [{ type: 'string' }, { type: 'string', multiple: true, default: [] }];
  const help = { type: 'boolean' };
  try {
    const options = { out: { ...one, default: 'pacerid-offline' }, weights: one, data: many, model: many, help };
    return parseArgs({ args, options }).values;
  } catch (error) {
    const remedy = 'npm run bundle -- --help shows every flag.';
    throw new Refusal('UsageError', error.message, 'Nothing was changed.', remedy, { cause: error });
  }
}
