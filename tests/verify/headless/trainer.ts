import { readFileSync } from 'node:fs';
import { layerOf } from '../../../src/config/layer.ts';
import { resolveConfig } from '../../../src/config/merge.ts';
import { parseLayer } from '../../../src/config/parse.ts';
import type { Config } from '../../../src/config/schema.ts';
import { checkedDecoder } from '../../../src/dataset/decoding.ts';
import { imageSource } from '../../../src/dataset/imageSource.ts';
import { importFiles, importSample, type ImportOptions } from '../../../src/dataset/import.ts';
import type { Dataset, DatasetStore } from '../../../src/dataset/types.ts';
import { openEngine, probe } from '../../../src/engine/device.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';
import { filesFromDisk } from '../../../src/platform/node/files.ts';
import { imageDecoder } from '../../../src/platform/node/imageDecoder.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { weightStore } from '../../../src/platform/node/weightStore.ts';
import { foldRun, type RunState } from '../../../src/training/runState.ts';
import { firstWeights, membersIn, weightsCommands } from '../../../src/workers/firstWeights.ts';
import type { TrainerEvent } from '../../../src/workers/protocol.ts';
import { trainerCommands } from '../../../src/workers/trainerCommands.ts';

type Tree = Parameters<typeof layerOf>[1];

/** `configs/base.yaml`, the files named, and what a verification changes. */
export function configOf(files: readonly string[], changes: Tree): Config {
  const layers = ['configs/base.yaml', ...files].map((file) => parseLayer(readFileSync(file, 'utf8'), { file }));
  return resolveConfig([...layers, layerOf('verify', changes)]).config;
}

/** The trainer worker's commands in Node: data sets and runs in memory, weights in a folder, wasm or a GPU. */
export async function headlessTrainer(weightsFolder: string, { gpu } = { gpu: false }) {
  const datasets = memoryDatasetStore();
  const environment = await nodeEngineEnvironment({ gpu });
  const cache = weightStore(weightsFolder);
  const weights = { cache, base: null, fetch, now: Date.now };
  const listeners = new Set<(event: TrainerEvent) => void>();
  const commands = trainerCommands(
    {
      datasets,
      runs: memoryRunStore(),
      sourceOf: (dataset) => imageSource(datasets, dataset, { cacheBytes: 2 ** 30 }),
      openEngine: (setting) => openEngine(setting, environment),
      probe: (setting) => probe(setting, environment),
      firstWeights: (wanted, progress, signal) => firstWeights(wanted, weights, progress, signal),
      membersOf: (weightsId) => membersIn(weightsId, cache),
      exclusively: async (work) => ({ held: true, value: await work(true) }),
      isTraining: () => Promise.resolve(false),
      randomBytes: (n) => crypto.getRandomValues(new Uint8Array(n)),
    },
    (event) => listeners.forEach((listener) => listener(event)),
  );
  return {
    datasets,
    importWeights: weightsCommands(cache).importWeights,
    importSample: (config: Config): Promise<Dataset> =>
      importSample(config.data.sample, importOptions(datasets, config)),
    importZip: async (path: string, config: Config): Promise<Dataset> =>
      importFiles(await filesFromDisk(path), importOptions(datasets, config)),
    /** Trains and tests, or stops after `steps`; prints a line an epoch. Throws what the run throws. */
    train: async (
      config: Config,
      datasetId: string,
      weightsId: string | null,
      label: string,
      steps = Infinity,
    ): Promise<RunState> => {
      let state = foldRun([]);
      const listen = ({ event }: TrainerEvent): void => {
        state = foldRun([event], state);
        if (state.steps.length === steps) void commands.stop(null);
        if (event.type === 'epochEnded') console.log(`${label} · ${epochLine(event)}`);
      };
      listeners.add(listen);
      try {
        await commands.start({ config, datasetId, weightsId });
      } finally {
        listeners.delete(listen);
      }
      return state;
    },
  };
}

function importOptions(store: DatasetStore, config: Config): ImportOptions {
  return {
    store,
    decoder: checkedDecoder(imageDecoder()),
    imgSize: config.data.img_size,
    decoders: config.data.num_workers,
    signal: new AbortController().signal,
  };
}

function epochLine({ epoch, train, validation, seconds, best }: RunState['history'][number]): string {
  const figures = (m: { loss: number; accuracy: number }): string =>
    `loss ${m.loss.toFixed(3)}, right ${(100 * m.accuracy).toFixed(1)} %`;
  const judged = validation ? ` · validation ${figures(validation)}${best ? ' *' : ''}` : '';
  return `epoch ${epoch}: ${seconds.toFixed(1)} s · train ${figures(train)}${judged}`;
}

/** `--name value` from the command line. */
export function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}
