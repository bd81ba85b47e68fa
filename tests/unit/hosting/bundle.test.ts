import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { writeBundle } from '../../../scripts/bundle.mjs';
import { startProcess, type Ended } from '../support/cli.ts';
import { folderOf, pageFiles } from './offlineFolder.ts';

let home = '';
let out = '';
beforeEach(() => {
  home = folderOf({});
  out = join(home, 'stick', 'pacerid');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const make = (files: Readonly<Record<string, string>>, beside: (readonly [string, string])[] = []) =>
  writeBundle({ out, dist: folderOf(files), beside, headers: { 'X-Frame-Options': 'DENY' } });

const bundle = (...args: string[]): Promise<Ended> =>
  startProcess(process.execPath, ['scripts/bundle.mjs', ...args]).ended;

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** Checks it against `sha256sum`, where there is one; answers with the paths that it lists. */
function checked(folder: string): string[] {
  const lines = readFileSync(join(folder, 'SHA256SUMS'), 'utf8').trimEnd().split('\n');
  for (const line of lines) {
    const [, sum, path = ''] = /^([0-9a-f]{64}) {2}(.+)$/.exec(line) ?? [];
    expect(
      createHash('sha256')
        .update(readFileSync(join(folder, path)))
        .digest('hex'),
    ).toBe(sum);
  }
  const judge = spawnSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: folder });
  if (judge.error === undefined) expect(judge.status).toBe(0);
  return lines.map((line) => line.slice(66)).sort();
}

it('has the page, its servers, what starts them, and every file’s checksum', async () => {
  const files = folderOf({ 'densenet121.safetensors': 'w'.repeat(1_234_567), 'march.zip': 'images' });
  await make(pageFiles, [
    ['weights', join(files, 'densenet121.safetensors')],
    ['sets', join(files, 'march.zip')],
  ]);
  const page = [...Object.keys(pageFiles), 'weights/densenet121.safetensors', 'sets/march.zip'];
  const others = [
    'LICENSE',
    'README.txt',
    'Start on Windows.cmd',
    'Start on macOS.command',
    'serve.json',
    'serve.mjs',
    'serve.py',
    'start.sh',
  ];
  const expected = [...page.map((path) => `page/${path}`), ...others];
  expect(filesIn(out)).toEqual([...expected, 'SHA256SUMS'].sort());
  expect(checked(out)).toEqual(expected.sort());
  for (const name of ['start.sh', 'Start on macOS.command'])
    expect(process.platform === 'win32' || (statSync(join(out, name)).mode & 0o111) === 0o111).toBe(true);
});

it('is readable where it is opened: Windows’ line ends and plain letters; the weights it has are named', async () => {
  const files = folderOf({ 'densenet121.safetensors': 'w'.repeat(1_234_567) });
  await make(pageFiles, [['weights', join(files, 'densenet121.safetensors')]]);
  for (const name of ['README.txt', 'Start on Windows.cmd']) {
    const text = readFileSync(join(out, name), 'latin1');
    expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]|[^\x20-\x7e]|\{/);
  }
  for (const name of ['serve.mjs', 'serve.py', 'start.sh', 'Start on macOS.command'])
    expect(readFileSync(join(out, name), 'utf8')).not.toContain('\r');
  expect(readFileSync(join(out, 'README.txt'), 'utf8')).toContain('in this folder: densenet121 (1.2 MB).');
});

it('made again, it replaces what it brought and leaves what others put beside the page', async () => {
  const files = folderOf({ 'densenet121.safetensors': 'old', 'resnet50.safetensors': 'resnet' });
  await make({ ...pageFiles, 'assets/app-old.js': '' }, [['weights', join(files, 'densenet121.safetensors')]]);
  const theirs = ['page/weights/mobilenet_v3_small.safetensors', 'page/sets/clinic.zip', 'certificate.pem'];
  mkdirSync(join(out, 'page', 'sets'));
  for (const path of theirs) writeFileSync(join(out, path), 'theirs');

  for (let times = 0; times < 2; times++) await make(pageFiles, [['weights', join(files, 'resnet50.safetensors')]]);
  for (const path of theirs) expect(readFileSync(join(out, path), 'utf8')).toBe('theirs');
  expect(existsSync(join(out, 'page/assets/app-old.js'))).toBe(false);
  expect(filesIn(join(out, 'page/weights'))).toEqual(['mobilenet_v3_small.safetensors', 'resnet50.safetensors']);
  expect(checked(out)).not.toContain('page/sets/clinic.zip');
});

it('refuses a folder that it did not make, and touches nothing in it', async () => {
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'README.txt'), 'Thesis, final version');
  const { code, stderr } = await bundle('--out', out, '--weights', 'none');
  expect(code).toBe(1);
  expect(stderr).toBe(
    `NotABundleError: ${out} is there already, and was not made by npm run bundle.\n` +
      'Kept: Nothing was changed.\nWhat to do: Name a new folder with --out, or empty this one.\n',
  );
  expect(filesIn(out)).toEqual(['README.txt']);
});

it('names what it does not understand before it builds anything', async () => {
  const [a, b] = [folderOf({ 'march.zip': 'a' }), folderOf({ 'March.zip': 'b' })];
  const wrong = [
    [
      ['--data', join(a, 'march.zip'), '--data', join(b, 'March.zip'), '--out', out],
      1,
      /^SameNameError: .*march\.zip and .*March\.zip would be one file, page\/sets\/March\.zip\./,
    ],
    [['--frobnicate'], 2, /^UsageError: .*'--frobnicate'/],
    [
      ['--weights', 'densnet121', '--out', out],
      1,
      /^UsageError: There is no architecture densnet121; did you mean densenet121\?/,
    ],
    [['--weights', '../../secret', '--out', out], 1, /^UsageError: There is no architecture \.\.\/\.\.\/secret/],
    [['--data', join(home, 'none.zip'), '--out', out], 1, /^FileMissingError: There is no zip .*none\.zip/],
  ] as const;
  for (const [args, status, sentence] of wrong) {
    const { code, stderr, stdout } = await bundle(...args);
    expect([args, code, stdout]).toEqual([args, status, '']);
    expect(stderr).toMatch(sentence);
    expect(stderr).toMatch(/\nKept: .+\nWhat to do: .+/);
  }
  expect(existsSync(out)).toBe(false);
});
