import { readFileSync } from 'node:fs';
import { openSession } from '../../../src/cli/session.ts';
import { layerOf } from '../../../src/config/layer.ts';
import { resolveConfig } from '../../../src/config/merge.ts';
import { parseLayer } from '../../../src/config/parse.ts';
import type { Config } from '../../../src/config/schema.ts';
import type { Dataset } from '../../../src/dataset/types.ts';
import { filesFromDisk } from '../../../src/platform/node/files.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { weightStore } from '../../../src/platform/node/weightStore.ts';
import { foldRun, type RunState } from '../../../src/training/runState.ts';
import type { TrainerEvent } from '../../../src/workers/protocol.ts';

type Tree = Parameters<typeof layerOf>[1];

/** `configs/base.yaml`, the files named, and what a verification changes. */
export function configOf(files: readonly string[], changes: Tree): Config {
  const layers = ['configs/base.yaml', ...files].map((file) => parseLayer(readFileSync(file, 'utf8'), { file }));
  return resolveConfig([...layers, layerOf('verify', changes)]).config;
}

/** The commands of `npm run train`, with data sets and runs in memory and weights in a folder. */
export function headlessTrainer(weightsFolder: string) {
  const datasets = memoryDatasetStore();
  const listeners = new Set<(event: TrainerEvent) => void>();
  const session = openSession({
    datasets,
    runs: memoryRunStore(),
    weights: weightStore(weightsFolder),
    modelsDir: 'models',
    onTrainer: (event) => listeners.forEach((listener) => listener(event)),
  });
  const commands = session.trainer;
  return {
    datasets,
    importWeights: session.model.importWeights,
    importSample: async (config: Config): Promise<Dataset> =>
      session.dataset.importSample({ sample: config.data.sample, imgSize: config.data.img_size }),
    importZip: async (path: string, config: Config): Promise<Dataset> =>
      session.dataset.importFiles({
        ...(await filesFromDisk(path)),
        imgSize: config.data.img_size,
        decoders: config.data.num_workers,
      }),
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
