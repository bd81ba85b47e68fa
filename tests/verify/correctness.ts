/**
 * The table of docs/correctness.md: runs every test that compares with torch, torchvision or PIL, all steps on WebGPU too.
 * Gathers what they judge, keeps the largest error of each quantity, network and backend, and writes it with date, adapter and versions.
 *
 *   npm run verify -- correctness
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { openInNode } from '../unit/support/openInNode.ts';
import { asTable, correctnessDoc, rowHead, rowOf, withWritten } from '../unit/support/correctnessDoc.ts';
import type { Judged } from '../unit/support/judged.ts';

const folder = mkdtempSync(join(tmpdir(), 'pacerid-correctness-'));
const gathered = join(folder, 'rows.jsonl');
const failed: string[] = [];
for (const project of ['unit', 'gpu']) {
  const files = testFiles(join('tests', project)).filter((file) => reaches(file, 'tests/unit/support/judged.ts'));
  if (files.length === 0) continue;
  console.log(`\n── ${project}: ${files.length} files ──`);
  const { status } = spawnSync('npx', ['--no-install', 'vitest', 'run', '--project', project, ...files], {
    stdio: 'inherit',
    env: { ...process.env, PACERID_CORRECTNESS: gathered, PACERID_ALL_STEPS: '1' },
  });
  if (status !== 0) failed.push(project);
}
if (failed.length > 0 || !existsSync(gathered)) {
  console.error(`\nNot written: ${failed.join(' and ') || 'nothing was judged'} failed.`);
  process.exit(1);
}

const worst = new Map<string, Judged>();
for (const line of readFileSync(gathered, 'utf8').trim().split('\n')) {
  const row = JSON.parse(line) as Judged;
  const named = { ...row, network: row.network.replace('—', '–') };
  const key = [named.quantity, named.network, named.on, named.command].join('\n');
  const known = worst.get(key);
  if (known === undefined || row.error / row.tolerance > known.error / known.tolerance) worst.set(key, named);
}
rmSync(folder, { recursive: true });

/** In this order; by the test that judges. */
const parts: readonly [string, RegExp][] = [
  ['Optimisers', /optimisers/],
  ['Losses', /losses/],
  ['Preprocessing', /preprocessing|samePixels/],
  ['Augmentation', /ugmentation/],
  ['Pretrained files', /weights\//],
  ['Determinism', /determinism/],
];
const partOf = ({ command }: Judged): string => parts.find(([, fits]) => fits.test(command))?.[0] ?? 'Networks';
const sorted = [...worst].sort(([a], [b]) => a.localeCompare(b, 'en')).map(([, row]) => row);
const tables = ['Networks', ...parts.map(([title]) => title)].flatMap((title) => {
  const rows = sorted.filter((row) => partOf(row) === title).map(rowOf);
  return rows.length === 0 ? [] : [`**${title}**\n\n${asTable(rowHead, rows)}`];
});

const gpu = await openInNode('webgpu');
const version = (name: string): string =>
  (JSON.parse(readFileSync(join('node_modules', name, 'package.json'), 'utf8')) as { version: string }).version;
const measured = `Measured on ${new Date().toISOString().slice(0, 10)} with \`npm run verify -- correctness\`: Node ${process.version}, tfjs ${version('@tensorflow/tfjs')}; WebGPU on ${gpu.adapter.label}; fixtures by torch 1.13, torchvision 0.14 and Pillow 9.4.`;
const text = withWritten(readFileSync(correctnessDoc, 'utf8'), 'rows', [measured, ...tables].join('\n\n'));
writeFileSync(correctnessDoc, text);
spawnSync('npx', ['--no-install', 'prettier', '--write', correctnessDoc], { stdio: 'inherit' });
console.log(`${sorted.length} rows in ${correctnessDoc}`);
process.exit(0);

function testFiles(where: string): string[] {
  return (readdirSync(where, { recursive: true }) as string[])
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(where, name));
}

/** Whether a module imports another one, or one that does. */
function reaches(file: string, target: string, seen = new Set<string>()): boolean {
  if (file === target) return true;
  if (seen.has(file) || !file.startsWith('tests') || !existsSync(file)) return false;
  seen.add(file);
  // A type alone is judged by nobody.
  const imports = readFileSync(file, 'utf8').matchAll(/^import (?!type )[^;]*? from '(\.[^']+\.ts)'/gm);
  return [...imports].some(([, path]) => reaches(normalize(join(dirname(file), path!)), target, seen));
}
