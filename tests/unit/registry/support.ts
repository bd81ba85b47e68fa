import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { onTestFinished } from 'vitest';
import { architectures, buildGraph } from '../../../src/architectures/index.ts';
import { initialWeights } from '../../../src/architectures/initialise.ts';
import { configToYaml } from '../../../src/config/yamlOut.ts';
import { idbFolder } from '../../../src/platform/browser/idbFolder.ts';
import type { KeyValue } from '../../../src/platform/browser/keyValue.ts';
import type { Certificate, Golden } from '../../../src/parity/types.ts';
import { versionContent, type VersionContent, type VersionSource } from '../../../src/registry/content.ts';
import type { Folder } from '../../../src/registry/types.ts';
import type { Proof } from '../../../src/registry/proof.ts';
import { emptyRun } from '../../../src/training/runState.ts';
import type { Checkpoint } from '../../../src/training/types.ts';
import { config } from '../training/smallRun.ts';

/** A checkpoint of `tiny` with weights drawn from `seed`. */
export function checkpointOf(
  seed: number,
  labels: readonly string[] = ['BIO Alder', 'MDT Cedar', 'SJM Elm'],
): Checkpoint {
  const graph = buildGraph('tiny', labels.length);
  return {
    schema: 1,
    runId: `run-${seed}`,
    epoch: 2,
    config: { ...config, training: { ...config.training, seed } },
    dataset: { id: 'd', name: 'devices', hash: 'abc', synthetic: true, classes: labels },
    architecture: 'tiny',
    origin: { kind: 'random', seed },
    batchnormBatch: 16,
    history: [1, 2].map((epoch) => ({
      epoch,
      train: { n: 60, loss: 1 / epoch, accuracy: 0.5, precision: 0.5 },
      validation: { n: 9, loss: 2 / epoch, accuracy: 0.25 * epoch, precision: 0.5 },
      seconds: 1,
      best: true,
    })),
    bestEpoch: 2,
    weights: initialWeights(graph, architectures.tiny, seed),
    optimiser: { step: 8, moments: new Map() },
  };
}

/** Says of itself what `certify` says of a package. `failures`: what it failed by. */
export function proofOf(
  { bytes, fileName }: { bytes: Uint8Array; fileName: string },
  labels: readonly string[],
  failures: readonly string[] = [],
): Exclude<Proof, { uncertified: string }> {
  const figures = { images: 2, maxDifference: 0.0012, meanDifference: 0.0002, flips: failures.length };
  const right = { trained: 2, exported: 2 - failures.length };
  const certificate: Certificate = {
    schema: 1,
    format: 'mlpackage',
    fileName,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    bytes: bytes.length,
    precision: 'float16',
    eightBit: false,
    labels,
    imageSize: 1,
    imagesFrom: { split: 'test', dataset: 'devices', hash: 'abc' },
    perClass: [],
    thresholds: { maxDifference: 0.005, maxFlips: 0 },
    ...figures,
    right,
    passed: failures.length === 0,
    failures,
  };
  const goldens: Golden[] = [0, 1].map((label) => ({
    name: `Test/${label}/Jane Doe.png`,
    label,
    pixels: Uint8Array.of(1, 2, label),
    trained: Float32Array.of(0.1, 0.7, 0.2),
    exported: Float32Array.of(0.1, 0.7, 0.2),
  }));
  return { certificate, goldens };
}

export function sourceOf(version: string, seed: number, labels?: readonly string[]): VersionSource {
  const checkpoint = checkpointOf(seed, labels);
  return {
    version,
    createdAt: 1_760_000_000_000,
    checkpoint,
    run: {
      ...emptyRun,
      test: {
        epoch: 2,
        report: {
          split: 'test',
          n: 4,
          loss: 0.5,
          accuracy: 0.75,
          accuracyInterval: [0.3, 0.95],
          precision: 0.8,
          recall: 0.7,
          perClass: [],
          confusion: [],
          indices: [],
          probabilities: new Float32Array(),
        },
      },
    },
    output: { ...checkpoint.config.output, model_name: 'PacerIDClassifier', author: 'A. Nother' },
    yaml: configToYaml,
    certify: () => Promise.resolve({ uncertified: 'There were no images.' }),
  };
}

export const contentOf = (version: string, seed: number, labels?: readonly string[]): Promise<VersionContent> =>
  versionContent(sourceOf(version, seed, labels));

/** Gone when the test has ended. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Every file below a folder of the disk with the SHA-256 of its bytes, by Node's own hash. */
export async function treeOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const rows = files.map(async (file) => [
    relative(folder, file),
    createHash('sha256')
      .update(await readFile(file))
      .digest('hex'),
  ]);
  return Object.fromEntries((await Promise.all(rows)).sort()) as Record<string, string>;
}

/** A database in memory, and a folder in it. */
export function memoryFolder(): { folder: Folder; held: Map<string, unknown> } {
  const held = new Map<string, unknown>();
  const sorted = (prefix: string): string[] => [...held.keys()].filter((key) => key.startsWith(prefix)).sort();
  const records: KeyValue = {
    get: <T>(key: string) => Promise.resolve(structuredClone(held.get(key)) as T | undefined),
    set: (key, value) => Promise.resolve(void held.set(key, structuredClone(value))),
    append: () => Promise.reject(new Error('No log is kept in a folder.')),
    setMany: (entries) => Promise.resolve(entries.forEach(([key, value]) => held.set(key, structuredClone(value)))),
    del: (key) => Promise.resolve(void held.delete(key)),
    delMany: (keys) => Promise.resolve(keys.forEach((key) => held.delete(key))),
    keys: (prefix) => Promise.resolve(sorted(prefix)),
    entries: <T>(prefix: string) =>
      Promise.resolve(sorted(prefix).map((key): [string, T] => [key, held.get(key) as T])),
  };
  return { folder: idbFolder(records), held };
}

/** Thrown in place of the change that a kill prevented. */
export class Killed extends Error {}

/**
 * A folder that carries out `limit` changes and none after. A folder is removed file by file, in either order, as a file system does it;
 * `renames: false`: as where folders can't be renamed. `done()`: how many changes there were.
 */
export function stoppingFolder(
  inner: Folder,
  limit: number,
  options: { renames?: boolean; backwards?: boolean } = {},
): { folder: Folder; done: () => number } {
  let done = 0;
  const change = async (work: () => Promise<void>): Promise<void> => {
    if (done >= limit) throw new Killed();
    done++;
    await work();
  };
  const remove = async (path: string): Promise<void> => {
    const names = await inner.list(path);
    if (options.backwards) names.reverse();
    for (const name of names) await remove(`${path}/${name.replace(/\/$/, '')}`);
    await change(() => inner.remove(path));
  };
  const folder: Folder = {
    list: inner.list,
    read: inner.read,
    write: (path, bytes) => change(() => inner.write(path, bytes)),
    remove,
  };
  if (options.renames && inner.replaceFolder) {
    const { replaceFolder } = inner;
    folder.replaceFolder = (from, to) => change(() => replaceFolder(from, to));
  }
  return { folder, done: () => done };
}
