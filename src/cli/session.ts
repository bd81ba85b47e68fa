import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArchitectureName } from '../architectures/settings.ts';
import { checkedDecoder } from '../dataset/decoding.ts';
import { evaluationSource } from '../dataset/evaluationSource.ts';
import { imageSource } from '../dataset/imageSource.ts';
import type { DataSettings } from '../dataset/settings.ts';
import type { Dataset, DatasetStore } from '../dataset/types.ts';
import { openEngine, probe } from '../engine/device.ts';
import type { Backend, DeviceSetting, EngineEnvironment } from '../engine/types.ts';
import type { DemoFolder } from '../export/demo/demoPage.ts';
import { nodeEngineEnvironment } from '../platform/node/engineEnvironment.ts';
import { nodeFolder } from '../platform/node/folder.ts';
import { mayHaveGpu } from '../platform/node/gpu.ts';
import { imageDecoder } from '../platform/node/imageDecoder.ts';
import type { FeatureStore, RunStore } from '../training/types.ts';
import { WeightsUnavailableError } from '../weights/errors.ts';
import { weightSources } from '../weights/sources.ts';
import { membersOfImported } from '../weights/imported.ts';
import { loadPretrained } from '../weights/pretrained.ts';
import type { WeightsProgress } from '../training/inputs.ts';
import type { DownloadProgress, WeightCache } from '../weights/types.ts';
import { cancellableWorks } from '../workers/cancelling.ts';
import { datasetCommands } from '../workers/datasetCommands.ts';
import { certifyingCommands } from '../workers/certifyingCommands.ts';
import { demoCommands } from '../workers/demoCommands.ts';
import { firstWeights, weightsCommands } from '../workers/firstWeights.ts';
import { loadedModels } from '../workers/loadedModel.ts';
import { modelCommands } from '../workers/modelCommands.ts';
import type { DatasetEvent, ModelEvent, TrainerEvent } from '../workers/protocol.ts';
import { trainerCommands } from '../workers/trainerCommands.ts';
import { versionCommands } from '../workers/versionCommands.ts';
import { NoPretrainedWeightsError } from './errors.ts';
import { projectRoot } from './root.ts';
import { cuts, speeds } from './speeds.ts';
import { besideBase, cliWeightCache, fetchOrRead } from './weights.ts';

/** Uncropped pixels kept in memory between epochs. */
const CACHE_BYTES = 2 ** 30;

export interface SessionOptions {
  readonly datasets: DatasetStore;
  readonly runs: RunStore;
  readonly weights?: WeightCache;
  /** Where what a frozen backbone gives is kept; null or absent: in memory. */
  readonly features?: FeatureStore | null;
  /** Where versions are kept. */
  readonly modelsDir: string;
  readonly onDataset?: (event: DatasetEvent) => void;
  readonly onTrainer?: (event: TrainerEvent) => void;
  readonly onModel?: (event: ModelEvent) => void;
}

/** The commands of the page's three workers, in this process, over Node's platform. */
export function openSession(options: SessionOptions) {
  const { datasets, runs, weights: cache = cliWeightCache(), features = null } = options;
  const decoder = checkedDecoder(imageDecoder());
  const open = async (setting: DeviceSetting, began: Backend | null = null) =>
    openEngine(setting, await environmentFor(setting), { began });
  const weights = { cache, base: besideBase(), fetch: fetchOrRead, now: Date.now };
  const weightFiles = weightsCommands(cache);
  const { importWeights } = weightFiles;
  const models = loadedModels({ runs, openEngine: open });
  const works = cancellableWorks();
  const tell = (event: ModelEvent): void => options.onModel?.(event);
  const versions = versionCommands({
    models: nodeFolder(options.modelsDir),
    runs,
    importWeights,
    pickedFolder: () => {
      throw new Error('Only a page has picked folders.');
    },
    certify: certifyingCommands(models, { datasets, decoder }, tell, works).certifyPackage,
    works,
    emit: tell,
    now: Date.now,
  });
  const ofEngine = modelCommands({ datasets, runs, decoder, importWeights, works }, models, tell);
  const { openCheckpoint } = ofEngine;
  const demoFolder: DemoFolder = {
    read: (path) => readFile(join(projectRoot(), 'dist', 'demo', path)),
    remedy: 'Run npm run build, which makes the demo page, and export again.',
  };
  return {
    openEngine: open,
    /** What evaluation sees of a data set, by a model's configuration. */
    cropsOf: (dataset: Dataset, data: DataSettings) => evaluationSource(datasets, dataset, decoder, data),
    /** Makes sure of pretrained weights before minutes go into images. Throws `NoPretrainedWeightsError`, `DownloadCancelledError`. */
    bringPretrained: async (
      architecture: ArchitectureName,
      progress: WeightsProgress,
      signal: AbortSignal,
    ): Promise<void> => {
      const onProgress = ({ doneBytes, totalBytes, ...more }: DownloadProgress): void =>
        progress(doneBytes, totalBytes, more);
      const options = { ...weights, now: Date.now(), onProgress, signal };
      await inOurWords(architecture, loadPretrained(architecture, options));
    },
    dataset: datasetCommands({ store: datasets, features, decoder, importing: (work) => work() }, (event) =>
      options.onDataset?.(event),
    ),
    trainer: trainerCommands(
      {
        datasets,
        runs,
        features,
        decoder,
        sourceOf: (dataset) => imageSource(datasets, dataset, { cacheBytes: CACHE_BYTES }),
        openEngine: open,
        probe: async (setting, anew) => probe(setting, await environmentFor(setting), { anew }),
        firstWeights: (wanted, progress, signal) =>
          inOurWords(wanted.config.model.architecture, firstWeights(wanted, weights, progress, signal)),
        membersOf: (weightsId) => membersOfImported(weightsId, cache),
        // The lock of the output folder is what keeps two apart.
        exclusively: async (work) => ({ held: true, value: await work(true) }),
        isTraining: () => Promise.resolve(false),
        randomBytes: (n) => crypto.getRandomValues(new Uint8Array(n)),
      },
      (event) => options.onTrainer?.(event),
    ),
    model: {
      ...ofEngine,
      ...weightFiles,
      ...versions,
      ...demoCommands({ runs, demoFolder, openCheckpoint }),
    },
  };
}
export type Session = ReturnType<typeof openSession>;

/** The page's remedy speaks of dropping files. */
async function inOurWords<T>(architecture: ArchitectureName, asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof WeightsUnavailableError)) throw error;
    const exist = weightSources[architecture].length > 0;
    throw new NoPretrainedWeightsError(architecture, exist, error.message, error);
  }
}

/** Dawn takes a while to start, and without hardware `auto` would refuse what it finds. */
async function environmentFor(setting: DeviceSetting): Promise<EngineEnvironment> {
  const auto = setting === 'auto' || setting === 'cuda';
  const environment = await nodeEngineEnvironment({ gpu: setting === 'webgpu' || (auto && mayHaveGpu()) });
  return { ...environment, speeds: speeds(), cuts: cuts() };
}
