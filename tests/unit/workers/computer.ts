import { createHash } from 'node:crypto';
import type { Config } from '../../../src/config/schema.ts';
import { checkedDecoder } from '../../../src/dataset/decoding.ts';
import { imageSource } from '../../../src/dataset/imageSource.ts';
import { importSample } from '../../../src/dataset/import.ts';
import type { Dataset } from '../../../src/dataset/types.ts';
import { imageDecoder } from '../../../src/platform/node/imageDecoder.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { memoryFolder } from '../../../src/registry/memoryFolder.ts';
import type { RunStore } from '../../../src/training/types.ts';
import { membersOfImported } from '../../../src/weights/imported.ts';
import type { WeightCache, WeightRecord } from '../../../src/weights/types.ts';
import { bundleCommands } from '../../../src/workers/bundleCommands.ts';
import { cancellableWorks } from '../../../src/workers/cancelling.ts';
import { certifyingCommands } from '../../../src/workers/certifyingCommands.ts';
import { demoCommands } from '../../../src/workers/demoCommands.ts';
import { firstWeights, weightsCommands } from '../../../src/workers/firstWeights.ts';
import { loadedModels } from '../../../src/workers/loadedModel.ts';
import { modelCommands } from '../../../src/workers/modelCommands.ts';
import type { ModelEvent, TrainerEvent } from '../../../src/workers/protocol.ts';
import { trainerCommands } from '../../../src/workers/trainerCommands.ts';
import { versionCommands } from '../../../src/workers/versionCommands.ts';
import { openInNode } from '../support/openInNode.ts';
import { config as small } from '../training/smallRun.ts';

/** Two epochs of the tiny network over 36 sample images of 64 pixels. */
export const config: Config = {
  ...small,
  data: {
    ...small.data,
    batch_size: 8,
    sample: { seed: 3, classes: 6, train_per_class: 6, test_per_class: 2, size: 64 },
  },
  training: { ...small.training, epochs: 2, learning_rate: 0.003 },
};

function memoryWeights(): WeightCache {
  const kept = new Map<string, { record: WeightRecord; bytes: Uint8Array<ArrayBuffer> }>();
  return {
    list: () => Promise.resolve([...kept.values()].map(({ record }) => record)),
    get: (key) => Promise.resolve(kept.get(key)),
    set: (record, bytes) => Promise.resolve(void kept.set(record.key, { record, bytes })),
    delete: (key) => Promise.resolve(void kept.delete(key)),
  };
}

let ids = 0;

/** Some page, as the build lists the demo page's files. */
export const demoFiles: ReadonlyMap<string, Uint8Array> = builtFiles({
  'assets/index-1.js': 'console.log("a page")',
  'index.html': '<!doctype html><title>A page</title>',
});

export function builtFiles(contents: Readonly<Record<string, string>>): Map<string, Uint8Array> {
  const files = Object.entries(contents).map(([path, text]) => [path, new TextEncoder().encode(text)] as const);
  const list = files.map(([path, bytes]) => ({
    path,
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }));
  return new Map([...files, ['files.json', new TextEncoder().encode(JSON.stringify({ files: list }))]]);
}

/** One computer: the trainer's and the model worker's commands over stores in memory, on wasm, without a network. */
export function computer(runs: RunStore = memoryRunStore(), demo: ReadonlyMap<string, Uint8Array> = demoFiles) {
  const datasets = memoryDatasetStore();
  const decoder = checkedDecoder(imageDecoder());
  const cache = memoryWeights();
  const state = { elsewhere: false };
  const listeners = new Set<(event: TrainerEvent) => void>();
  const told = new Set<(event: ModelEvent) => void>();
  const offline = { cache, base: null, fetch: () => Promise.reject(new Error('offline')), now: () => 0 };
  const trainer = trainerCommands(
    {
      datasets,
      runs,
      features: null,
      decoder,
      sourceOf: (dataset) => imageSource(datasets, dataset, { cacheBytes: 2 ** 24 }),
      openEngine: openInNode,
      probe: () => Promise.reject(new Error('not asked for')),
      firstWeights: (wanted, progress) => firstWeights(wanted, offline, progress),
      membersOf: (weightsId) => membersOfImported(weightsId, cache),
      exclusively: async (work) => (state.elsewhere ? { held: false } : { held: true, value: await work(true) }),
      isTraining: () => Promise.resolve(state.elsewhere),
      randomBytes: (n) => new Uint8Array(n).fill((ids += 1)),
    },
    (event) => listeners.forEach((listener) => listener(event)),
  );
  const weights = weightsCommands(cache);
  const tell = (event: ModelEvent): void => told.forEach((listener) => listener(event));
  const models = loadedModels({ runs, openEngine: openInNode });
  const works = cancellableWorks();
  const { certify, certifyPackage, certifyRun } = certifyingCommands(models, { datasets, decoder }, tell, works);
  const versions = versionCommands({
    models: memoryFolder(),
    runs,
    importWeights: weights.importWeights,
    certify: certifyPackage,
    works,
    emit: tell,
    pickedFolder: () => {
      throw new Error('no page');
    },
    now: () => 0,
  });
  const { importWeights } = weights;
  const ofEngine = modelCommands({ datasets, runs, decoder, importWeights, works }, models, tell);
  const { openCheckpoint } = ofEngine;
  const demoFolder = {
    read: (path: string): Promise<Uint8Array> => {
      const bytes = demo.get(path);
      return bytes === undefined ? Promise.reject(new Error('the server answers 404')) : Promise.resolve(bytes);
    },
    remedy: 'Ask who hosts it.',
  };
  const model = {
    ...ofEngine,
    certify,
    cancel: works.cancel,
    ...bundleCommands(runs, models, certifyRun, works),
    ...weights,
    ...versions,
    ...demoCommands({ runs, demoFolder, openCheckpoint }),
  };
  return {
    datasets,
    runs,
    cache,
    trainer,
    model,
    /** `elsewhere`: another tab trains. */
    state,
    listeners,
    /** Who listens to the model worker. */
    told,
    /** `seed`: other images of the same classes. */
    importSample: (seed = config.data.sample.seed): Promise<Dataset> =>
      importSample(
        { ...config.data.sample, seed },
        {
          store: datasets,
          decoder,
          imgSize: 32,
          decoders: 1,
          signal: new AbortController().signal,
        },
      ),
  };
}
