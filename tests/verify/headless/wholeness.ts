/**
 * What “whole” means for the files that the headless commands leave, judged without the code that writes them: safetensors
 * by its specification (8 bytes little-endian length, JSON, tensors that cover the rest), checksums by `sha256sum -c`.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const BYTES: Readonly<Record<string, number>> = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, U8: 1, BOOL: 1 };

/** Tensors with their bytes, and the file's metadata; throws where the file is not exactly what its header says. */
export function readSafetensorsByHand(path: string): {
  tensors: Map<string, { entry: Entry; bytes: Buffer }>;
  metadata: Record<string, string>;
} {
  const file = readFileSync(path);
  if (file.length < 8) throw new Error(`${path} has ${file.length} bytes`);
  const length = Number(file.readBigUInt64LE(0));
  if (8 + length > file.length) throw new Error(`${path}: a header of ${length} bytes in a file of ${file.length}`);
  const header = JSON.parse(file.subarray(8, 8 + length).toString('utf8')) as Record<string, unknown>;
  const { __metadata__: metadata = {}, ...entries } = header;
  const sorted = Object.entries(entries as Record<string, Entry>).sort(
    ([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0],
  );
  const data = file.subarray(8 + length);
  const tensors = new Map<string, { entry: Entry; bytes: Buffer }>();
  let covered = 0;
  for (const [name, entry] of sorted) {
    const [begin, end] = entry.data_offsets;
    const size = entry.shape.reduce((product, n) => product * n, BYTES[entry.dtype] ?? NaN);
    if (begin !== covered || end - begin !== size) throw new Error(`${path}: ${name} lies at ${begin}–${end}`);
    tensors.set(name, { entry, bytes: data.subarray(begin, end) });
    covered = end;
  }
  if (covered !== data.length) throw new Error(`${path}: tensors end at ${covered}, the file at ${data.length}`);
  return { tensors, metadata: metadata as Record<string, string> };
}

/** Of names, shapes and values alone: two files with the same numbers have the same digest, whatever their metadata says. */
export function tensorsDigest(path: string): string {
  const hash = createHash('sha256');
  const { tensors } = readSafetensorsByHand(path);
  for (const name of [...tensors.keys()].sort()) {
    const { entry, bytes } = tensors.get(name)!;
    hash.update(`${name} ${entry.dtype} ${entry.shape.join('×')}\n`).update(bytes);
  }
  return hash.digest('hex');
}

/** Relative path → SHA-256 of every file below `folder`, `/`-separated and sorted; empty where there is no folder. */
export function filesBelow(folder: string): Map<string, string> {
  if (!existsSync(folder)) return new Map();
  return new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [relative(folder, path).split(sep).join('/'), sha256(readFileSync(path))]),
  );
}

/** One digest of all files below `folder`, names and bytes; null where there is no folder or nothing in it. */
export function folderDigest(folder: string): string | null {
  const files = filesBelow(folder);
  return files.size === 0 ? null : sha256([...files].map(([path, hash]) => `${hash}  ${path}\n`).join(''));
}

/** What is wrong with the checkpoints in an output folder and with the record that points to one of them. */
export function outputFaults(folder: string): string[] {
  const faults: string[] = [];
  const names = existsSync(folder) ? readdirSync(folder) : [];
  for (const name of names.filter((name) => name.endsWith('.safetensors'))) {
    try {
      const { metadata } = readSafetensorsByHand(join(folder, name));
      JSON.parse(metadata['pacerid.checkpoint'] ?? '');
    } catch (error) {
      faults.push(`${name}: ${messageOf(error)}`);
    }
  }
  for (const name of names.filter((name) => name.endsWith('.json'))) {
    try {
      JSON.parse(readFileSync(join(folder, name), 'utf8'));
    } catch (error) {
      faults.push(`${name}: ${messageOf(error)}`);
    }
  }
  if (names.includes('run.json') && faults.length === 0) {
    const record = JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8')) as Record<string, unknown>;
    const latest = record.latestEpoch;
    if (typeof latest === 'number' && !names.some((name) => epochOf(join(folder, name)) === latest))
      faults.push(`run.json names epoch ${latest}, and no checkpoint holds it`);
  }
  return faults;
}

/** The epoch that a checkpoint's own metadata names; null for anything else. */
export function epochOf(path: string): number | null {
  if (!path.endsWith('.safetensors')) return null;
  const { metadata } = readSafetensorsByHand(path);
  return (JSON.parse(metadata['pacerid.checkpoint'] ?? '{}') as { epoch?: number }).epoch ?? null;
}

/** Versions whose folder carries SHA256SUMS, and what is wrong with them. A folder without it is unfinished, not wrong. */
export function versionsIn(modelsDir: string): { whole: string[]; unfinished: string[]; faults: string[] } {
  const folder = join(modelsDir, 'versions');
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  const whole: string[] = [];
  const unfinished: string[] = [];
  const faults: string[] = [];
  for (const name of names) {
    const sums = join(folder, name, 'SHA256SUMS');
    if (!/^v\d+\.\d+\.\d+$/.test(name) || !existsSync(sums)) {
      unfinished.push(name);
      continue;
    }
    const fault = sumsFault(join(folder, name));
    if (fault === null) whole.push(name);
    else faults.push(`${name}: ${fault}`);
  }
  return { whole, unfinished, faults };
}

/** Every file but the list itself and the notes must be listed, and `sha256sum -c` must agree. */
function sumsFault(folder: string): string | null {
  const listed = new Map(
    readFileSync(join(folder, 'SHA256SUMS'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line): [string, string] => [line.slice(66), line.slice(0, 64)]),
  );
  const there = filesBelow(folder);
  there.delete('SHA256SUMS');
  there.delete('notes.md');
  for (const [path, hash] of there) {
    if (listed.get(path) !== hash) return `${path} ${listed.has(path) ? 'has changed' : 'is not listed'}`;
  }
  for (const path of listed.keys()) if (!there.has(path)) return `${path} is missing`;
  if (listed.size < 5) return `only ${listed.size} files`;
  if (process.platform !== 'linux') return null;
  const result = spawnSync('sha256sum', ['-c', '--strict', '--quiet', 'SHA256SUMS'], { cwd: folder, encoding: 'utf8' });
  return result.status === 0 ? null : `sha256sum -c: ${result.stdout}${result.stderr}`;
}

/** What the file `current` names; null where there is none. Throws where it holds anything but a version and a newline. */
export function currentIn(modelsDir: string): string | null {
  const path = join(modelsDir, 'current');
  if (!existsSync(path)) return null;
  const text = readFileSync(path, 'utf8');
  if (!/^v\d+\.\d+\.\d+\n$/.test(text)) throw new Error(`current holds ${JSON.stringify(text)}`);
  return text.trim();
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
