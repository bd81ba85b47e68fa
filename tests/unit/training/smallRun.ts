import { architectures, buildGraph } from '../../../src/architectures/index.ts';
import { initialWeights } from '../../../src/architectures/initialise.ts';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import { evaluationCrop } from '../../../src/dataset/geometry.ts';
import type { Dataset, ImageEntry, RgbImage } from '../../../src/dataset/types.ts';
import type { Backend, Engine, Network } from '../../../src/engine/types.ts';
import { graphBuilder } from '../../../src/graph/builder.ts';
import type { Graph } from '../../../src/graph/types.ts';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { random } from '../../../src/random.ts';
import { createControl, type Control } from '../../../src/training/control.ts';
import type { RunEvent } from '../../../src/training/events.ts';
import type { FirstWeights } from '../../../src/training/inputs.ts';
import { newRun, runTraining } from '../../../src/training/run.ts';
import type { FeatureStore, RunConfig, RunRecord, RunStore } from '../../../src/training/types.ts';
import { openInNode } from '../support/openInNode.ts';

const SIDE = 37;
const CLASSES = 3;

/** Stripes of three directions under noise: learnable in seconds, not by one step. */
function picture(label: number, seed: number): RgbImage {
  const draw = random(seed, 77);
  const phase = draw.uniform() * 6;
  const data = new Uint8Array(SIDE * SIDE * 3);
  for (let y = 0, i = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++, i += 3) {
      const along = [x, y, (x + y) * 0.7][label] as number;
      const value = 128 + 60 * Math.sin(along + phase) + 15 * draw.normal();
      data.fill(Math.max(0, Math.min(255, value)), i, i + 3);
    }
  }
  return { width: SIDE, height: SIDE, data };
}

const images: ImageEntry[] = [];
const pixels: RgbImage[] = [];
for (const [given, count] of [
  ['train', 20],
  ['test', 5],
] as const) {
  for (let label = 0; label < CLASSES; label++) {
    for (let i = 0; i < count; i++) {
      images.push({
        path: `${given}/${label}/${i}.png`,
        label,
        given,
        hash: '',
        width: SIDE,
        height: SIDE,
        cacheWidth: SIDE,
        cacheHeight: SIDE,
        fileBytes: 0,
        shard: 0,
        cacheOffset: 0,
        originalOffset: 0,
      });
      pixels.push(picture(label, pixels.length));
    }
  }
}

const pixelsOf = (index: number): RgbImage => pixels[index] as RgbImage;

export const dataset: Dataset = {
  schema: 1,
  id: 'stripes',
  name: 'stripes',
  source: 'folder',
  synthetic: true,
  layout: 'splits',
  classes: ['across', 'down', 'slanted'],
  images,
  skipped: [],
  warnings: [],
  cacheShortSide: SIDE,
  hash: 'stripes',
  createdAt: 0,
  storedBytes: 0,
};

export const config: RunConfig = {
  data: {
    source: 'files',
    kaggle_dataset: 'a/b',
    raw_dir: 'a',
    train_dir: 'a',
    test_dir: 'a',
    batch_size: 16,
    img_size: 32,
    num_workers: 1,
    geometry: 'center_crop',
    validation_split: 0.15,
    test_split: 0.15,
    seed: 1,
    sample: { seed: 1, classes: 6, train_per_class: 4, test_per_class: 1, size: 64 },
  },
  model: { architecture: 'tiny', pretrained: false },
  training: {
    epochs: 4,
    learning_rate: 0.03,
    device: 'wasm',
    verbose: false,
    tune: false,
    layers: 'all',
    precision: 'float32',
    cached_views: 0,
    optimizer: 'adam',
    weight_decay: 0,
    momentum: 0.9,
    nesterov: false,
    clip_norm: null,
    label_smoothing: 0,
    class_weights: null,
    seed: 5,
    batchnorm_momentum: null,
    batchnorm_batch: null,
    augmentation: {
      enabled: true,
      crop_scale: [0.9, 1],
      crop_ratio: [1, 1],
      degrees: 5,
      translate: 0.05,
      scale: [0.95, 1.05],
      shear: 5,
      brightness: 0.3,
      contrast: 0.3,
      saturation: 0.3,
      horizontal_flip: 0,
    },
  },
  output: {
    dir: 'o',
    keep_checkpoints: null,
    models_dir: 'models',
    ios_dir: 'ios',
    model_name: 'M',
    precision: 'float32',
    weights: 'full',
    maker_output: false,
    certificate: {
      images_per_class: 2,
      max_images: 32,
      max_difference: { float32: 1e-5, float16: 5e-3, eight_bit: 0.05 },
      max_flips: 0,
    },
    version: '1.0.0',
    author: '',
    description: '',
    intended_use: '',
  },
};

/** Convolution, batch norm, dropout: everything whose state a resumed run must take up. */
function smallGraph(): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  x = net.conv2d('conv', x, 8, { kernel: 3, stride: 2 });
  x = net.batchNorm2d('norm', x);
  x = net.activation('relu', x, 'relu');
  const features = x;
  x = net.flatten('flatten', net.globalAvgPool('pool', features));
  x = net.dropout('dropout', x, 0.2);
  net.linear('classifier', x, CLASSES);
  return net.finish({ architecture: 'tiny', classes: CLASSES, head: 'classifier', features });
}

export interface SmallRun {
  readonly store?: RunStore;
  readonly features?: FeatureStore;
  readonly record?: RunRecord;
  readonly change?: Partial<RunConfig['training']>;
  /** In the place of the small graph. */
  readonly architecture?: ArchitectureName;
  readonly graph?: Graph;
  /** In the place of an ordinary one of `change.device`. */
  readonly engine?: (began: Backend | null) => Promise<Engine>;
  readonly control?: Control;
  readonly profile?: boolean;
  readonly data?: Dataset;
  readonly onEvent?: (event: RunEvent) => unknown;
  readonly onRead?: (indices: readonly number[]) => unknown;
  /** In the place of random weights. */
  readonly weights?: (signal: AbortSignal) => Promise<FirstWeights>;
  /** Stand between the run and the network. */
  readonly step?: (network: Network, ...call: Parameters<Network['trainStep']>) => ReturnType<Network['trainStep']>;
  readonly backbone?: (network: Network, ...call: Parameters<Network['features']>) => ReturnType<Network['features']>;
  readonly predict?: (network: Network, ...call: Parameters<Network['predict']>) => ReturnType<Network['predict']>;
}

/** The whole life of a run, on wasm where `change` names no device; `error` is what it threw. */
export async function smallRun(options: SmallRun = {}) {
  const store = options.store ?? memoryRunStore();
  const architecture = options.architecture ?? 'tiny';
  const settings = {
    ...config,
    model: { ...config.model, architecture },
    training: { ...config.training, ...options.change },
  };
  const data = options.data ?? dataset;
  const graph =
    options.graph ?? (options.architecture === undefined ? smallGraph() : buildGraph(architecture, CLASSES));
  const events: RunEvent[] = [];
  let error: unknown = null;
  const wrapped = async (began: Backend | null): Promise<Engine> => {
    const engine = await (options.engine?.(began) ?? openInNode(settings.training.device));
    const { step, backbone, predict } = options;
    return {
      ...engine,
      build: async (...call) => {
        const network = await engine.build(...call);
        return {
          ...network,
          ...(step && { trainStep: (parts, rate) => step(network, parts, rate) }),
          ...(backbone && { features: (batch) => backbone(network, batch) }),
          ...(predict && { predict: (batch) => predict(network, batch) }),
        };
      },
    };
  };
  await runTraining({
    record: options.record ?? newRun('small', settings, data, null, null),
    dataset: data,
    source: {
      read: (indices) => {
        options.onRead?.(indices);
        return Promise.resolve(indices.map(pixelsOf));
      },
    },
    cropsFor: () => ({
      read: (indices) => Promise.resolve(indices.map((index) => evaluationCrop(pixelsOf(index), 32, 'center_crop'))),
    }),
    graph,
    statistics: architectures[architecture],
    openEngine: wrapped,
    firstWeights: (_, signal) =>
      options.weights?.(signal) ??
      Promise.resolve({
        weights: initialWeights(graph, architectures[architecture], 5),
        origin: { kind: 'random', seed: 5 },
        warnings: [],
      }),
    store,
    features: options.features ?? null,
    control: options.control ?? createControl(),
    profile: options.profile ?? false,
    emit: (event) => {
      events.push(event);
      options.onEvent?.(event);
    },
  }).catch((thrown: unknown) => (error = thrown));
  const record = (await store.read('small')) as RunRecord;
  return { store, events, error, record };
}
