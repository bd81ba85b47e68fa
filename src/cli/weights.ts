import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openAsBlob } from 'node:fs';
import type { ArchitectureName } from '../architectures/settings.ts';
import type { ConfigLayer } from '../config/layer.ts';
import type { ConfigTree } from '../config/tree.ts';
import type { Members } from '../dataset/types.ts';
import { nodeFolder } from '../platform/node/folder.ts';
import { weightStore } from '../platform/node/weightStore.ts';
import { versionRegistry } from '../registry/registry.ts';
import { isPyTorchFile } from '../weights/pytorch/container.ts';
import { CHECKPOINT_METADATA, describedBy } from '../weights/metadata.ts';
import { readSafetensorsMetadata } from '../weights/safetensors.ts';
import type { WeightCache, WeightRecord } from '../weights/types.ts';
import { asReadableFile } from './errors.ts';
import { namesVersion } from './registry.ts';
import { cacheFor, projectRoot } from './root.ts';
import { layerOfModel } from './settings.ts';

/** Beside the page: `npm run build` copies `public/`, so that page and command line find the same files. */
export function besideFile(architecture: ArchitectureName): string {
  return join(projectRoot(), 'public', 'weights', `${architecture}.safetensors`);
}

/** As the page asks for them: where `public/` stands for the page's folder. */
export const besideBase = (): string => pathToFileURL(join(projectRoot(), 'public', '/')).href;

/** `fetch` that also reads `file:` addresses; what isn't there is a 404. */
export const fetchOrRead: typeof fetch = async (input, init) => {
  const url = input instanceof Request ? input.url : String(input);
  if (!url.startsWith('file:')) return fetch(input, init);
  const path = fileURLToPath(url);
  const there = await stat(path).catch(() => null);
  return there?.isFile() ? new Response(await openAsBlob(path)) : new Response(null, { status: 404 });
};

/**
 * Downloads are kept in the cache folder; a file in `public/weights` comes before them and is not copied there. What the user names with
 * `--from` stays in memory.
 */
export function cliWeightCache(): WeightCache {
  const disk = (): WeightCache => weightStore(cacheFor('weights'));
  const named = new Map<string, { record: WeightRecord; bytes: Uint8Array<ArrayBuffer> }>();
  const isPretrained = (key: string): boolean => key.startsWith('pretrained/');
  const isBeside = (path: string): Promise<boolean> =>
    stat(path).then(
      (found) => found.isFile(),
      () => false,
    );
  return {
    list: async () => [...named.values()].map(({ record }) => record),
    get: async (key) => {
      if (!isPretrained(key)) return named.get(key);
      const architecture = key.slice('pretrained/'.length) as ArchitectureName;
      return (await isBeside(besideFile(architecture))) ? undefined : disk().get(key);
    },
    set: async (record, bytes) => {
      if (!isPretrained(record.key)) named.set(record.key, { record, bytes });
      else if (!record.url?.startsWith('file:')) await disk().set(record, bytes);
    },
    delete: async (key) => void named.delete(key),
  };
}

/** A model to start from: its bytes, how the user is told of it, and the configuration that it was trained with. */
export interface StartingPoint {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly configuration: ConfigLayer | null;
  /** What it was trained, picked and tested with; null where the file doesn't say. */
  readonly members: Members | null;
}

/**
 * `--from`: a version of `modelsDir` (`v1.0.0`), or a file: a checkpoint, safetensors, PyTorch's `.pt`. Throws `FileMissingError`,
 * `NoSuchVersionError`, `DamagedVersionError`, `NotSafetensorsError`.
 */
export async function startingPoint(from: string, modelsDir: string): Promise<StartingPoint> {
  const isVersion = namesVersion(from);
  const bytes = isVersion ? await versionWeights(from, modelsDir) : await readWeights(from);
  const name = isVersion ? `v${from.replace(/^v/, '')}` : from;
  const metadata = isPyTorchFile(bytes) ? {} : readSafetensorsMetadata(bytes);
  const config = configIn(metadata);
  const configuration = config === null ? null : layerOfModel(from, config);
  return { name, bytes, configuration, members: describedBy(metadata).members };
}

async function versionWeights(version: string, modelsDir: string): Promise<Uint8Array<ArrayBuffer>> {
  const { record, files } = await versionRegistry(nodeFolder(modelsDir)).open(version);
  const weights = files.get('weights.safetensors');
  if (weights === undefined) throw new Error(`${record.version} has no weights.safetensors`);
  return weights;
}

async function readWeights(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    throw asReadableFile(
      error,
      'weights file',
      path,
      '--from takes a version (v1.0.0; npm run versions -- list shows them) or the path of a checkpoint or a weights file.',
    );
  }
}

/** `--labels`: a label a line, as class names are written everywhere here (NFC); lines without a word are none. */
export async function labelsIn(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw asReadableFile(error, 'file of labels', path, 'Write one label a line, in the order of the model’s outputs.');
  });
  // Some editors begin a file with a byte order mark.
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  return lines.map((line) => line.trimEnd().normalize('NFC')).filter((line) => line !== '');
}

function configIn(metadata: Readonly<Record<string, string>>): ConfigTree | null {
  try {
    const checkpoint = metadata[CHECKPOINT_METADATA];
    const text = metadata['config'] ?? 'null';
    const config: unknown =
      checkpoint === undefined ? JSON.parse(text) : (JSON.parse(checkpoint) as { config: unknown }).config;
    return typeof config === 'object' ? (config as ConfigTree | null) : null;
  } catch {
    // Written by another program: its tensors may be good all the same.
    return null;
  }
}
