import type { Graph, Weights } from '../graph/types.ts';
import type { Augmentation, Picture } from './augmentation.ts';
import type { ChannelStatistics } from './normalise.ts';

/**
 * What training, evaluation and Try ask of an engine. `engine/compiled` (our kernels) fulfils it on WebGPU, `engine/reference` (tfjs ops)
 * anywhere. An engine owns one device; its networks live on it. What they see is `[N,H,W,C] float32`, normalised: handed in as that, or made by
 * the engine of uint8 pictures and the augmentation that was drawn for each. Nothing here draws, or knows epochs, files or pages.
 */
export type Backend = 'webgpu' | 'wasm' | 'webgl' | 'cpu';
export type DeviceSetting = 'auto' | 'cuda' | Backend;

/** In which the maps of a training step and their gradients lie in memory; sums, parameters and what an optimiser keeps are float32 always. */
export type Precision = 'float32' | 'float16';

export interface AdapterReport {
  readonly backend: Backend;
  /** What the user is shown: `Apple M2`, `SwiftShader (software)`, `WebAssembly, SIMD, 1 thread`. */
  readonly label: string;
  readonly software: boolean;
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  readonly limits: Readonly<Record<string, number>>;
  readonly features: readonly string[];
  /** Why this one was taken, in a sentence for the user; null where it is what was asked for. */
  readonly notice: string | null;
  /** What a short measurement has found where there was something to choose; absent elsewhere, and in reports of older pages. */
  readonly speeds?: Speeds;
}

/** Operations a second (FLOP/s, a multiply-add being two) of one and the same training step on the two candidates; 0: it failed there. */
export interface Speeds {
  readonly webgpu: number;
  readonly wasm: number;
}

/** Keeps measured speeds for the next time: nothing is lost with them but two seconds. */
export interface SpeedStore {
  read(key: string): Promise<Speeds | undefined>;
  /** Null: who asks has no time to measure; what others measured counts. */
  readonly write: ((key: string, speeds: Speeds) => Promise<void>) | null;
}

/** How the products of a training step are cut into workgroups on a device, as measured there (compiled/tuning). It decides in which order sums are made: to the bit. */
export interface Cuts {
  /** For which they were chosen: the adapter with its driver, as far as it tells. */
  readonly device: string;
  /** By class of shapes the name of a cut; null, as where there is none: the default. */
  readonly chosen: Readonly<Record<string, string | null>>;
}

/** Keeps chosen cuts for the next time: nothing is lost with them but the seconds of their measurement. */
export interface CutStore {
  /** As it was written; who reads it believes nothing. */
  read(key: string): Promise<unknown>;
  write(key: string, chosen: Cuts['chosen']): Promise<void>;
}

/** torch.optim.Adam: weight decay is a part of the gradient; torch.optim.AdamW: it shrinks the weights beside it. */
export interface AdamSettings {
  readonly kind: 'adam' | 'adamw';
  /** Torch's defaults: 0.9, 0.999, 1e-8. */
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Of all trained parameters, as torch does unless told otherwise: batch norms' and biases too. */
  readonly weightDecay: number;
}

/** torch.optim.SGD. */
export interface SgdSettings {
  readonly kind: 'sgd';
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
}

export type OptimiserSettings = AdamSettings | SgdSettings;

/** Of dynamic loss scaling, as torch.amp.GradScaler. */
export interface LossScale {
  /** A power of 2. */
  readonly scale: number;
  /** Steps since it last changed. */
  readonly good: number;
  /** Steps skipped in a row. */
  readonly skipped: number;
}

export interface OptimiserState {
  /** Number of updates made. */
  readonly step: number;
  /** `${parameter}.${slot}` for each of `optimiserSlots`, in torch's layouts. */
  readonly moments: Weights;
  /** With `precision: 'float16'`: what the next step's loss is multiplied with, and how it came to that. Absent: as at the beginning. */
  readonly lossScale?: LossScale;
}

/** Of torch.nn.functional.cross_entropy with reduction mean. */
export interface LossSettings {
  /** Share of the target that is spread over all classes alike, the label's own too; at least 0, less than 1. */
  readonly smoothing: number;
  /** One a class, above 0; null: all alike. The mean is over weights: the sum over a batch, divided by that of its labels' weights. */
  readonly classWeights: readonly number[] | null;
}

export interface NetworkOptions {
  readonly trainable: 'all' | 'head';
  readonly optimiser: OptimiserSettings;
  /** Absent: plain cross-entropy. */
  readonly loss?: LossSettings;
  /** Gradients are scaled down so that the norm of all of them together is no larger; null: they are left as they are. */
  readonly clipNorm: number | null;
  /** Replaces every BatchNorm's momentum; null keeps the architecture's. */
  readonly batchNormMomentum: number | null;
  /** Seed of dropout. */
  readonly seed: number;
  /** Keep less for the backward pass and make it again, where the runtime can: less memory, more time, the same numbers. */
  readonly recompute?: boolean;
  /** Of `Engine.tune`; null, absent and of another device: the defaults. The reference runtime takes no notice of it. */
  readonly cuts?: Cuts | null;
  /** Absent: float32. float16 only where `hasFloat16` (adapter.ts) says so; the reference runtime takes no notice of it. */
  readonly precision?: Precision;
}

export interface ImageBatch {
  /** `[n, size, size, 3]`, normalised. */
  readonly images: Float32Array;
  readonly n: number;
  readonly size: number;
}
export interface LabelledBatch extends ImageBatch {
  /** n class indices. */
  readonly labels: Int32Array;
}

/** Pictures of which the engine makes a batch `[n, size, size, 3]`: on the GPU where there is one. */
export interface AugmentedBatch extends ChannelStatistics {
  /** n of them, of any size, each with its augmentation. */
  readonly pictures: readonly (readonly [Picture, Augmentation])[];
  readonly n: number;
  readonly size: number;
  /** n class indices. */
  readonly labels: Int32Array;
}

export type TrainingBatch = LabelledBatch | AugmentedBatch;

export interface StepResult {
  /** Over the whole batch as `NetworkOptions.loss` says, in nats, before the update. */
  readonly loss: number;
  /** `[n, classes]`, in train mode, before the update. */
  readonly logits: Float32Array;
  /**
   * With `precision: 'float16'`: gradients were beyond its range. No update was made and running statistics are as they were; the next step
   * is made at half the scale. The loss may be NaN.
   */
  readonly skipped?: boolean;
}

/** One dispatch of a step. */
export interface ProfileRow {
  /** What it does: `conv`, `normApply`, `optimiserStep`. */
  readonly kind: string;
  /** Node of the graph; `input` and `update` are what comes before and after all of them. */
  readonly node: string;
  /** The kernel's variant. */
  readonly program: string;
  /** On the device, as it says; browsers round this. */
  readonly milliseconds: number;
  /** Modelled. Where several dispatches are one call, the first has all of its operations and bytes; 0: nobody counts them. */
  readonly flops: number;
  readonly bytes: number;
}

export interface StepProfile extends StepResult {
  /** In the order of the step. */
  readonly rows: readonly ProfileRow[];
  /** From the first upload until the loss was there, by this thread's clock: longer than without measuring. */
  readonly milliseconds: number;
}

export interface Network {
  readonly graph: Graph;
  /**
   * Forward, backward, update. `parts` are micro-batches of one batch: their gradients sum to that of the batch's loss, one update
   * is made. BatchNorm sees the part. With `trainable: 'head'` the backbone runs in eval mode, dropout too.
   * Throws `DeviceLostError`, `GpuError`, `GpuMemoryError` or `OutOfMemoryError`; never returns zeros for a failed dispatch. A loss of
   * NaN is returned and makes no update; in float16, twenty skipped steps in a row throw `Float16RangeError`. Long work gives the event loop a turn several times a second, so that commands are heard in a step's middle.
   */
  trainStep(parts: readonly TrainingBatch[], learningRate: number): Promise<StepResult>;
  /**
   * The processor's part of a step is done while the device works on the one before: ask for the next one before you wait for a result. What
   * is further ahead waits. The numbers are those of one after the other, also where a step made no update. Absent: nothing is gained by it.
   */
  readonly ahead?: boolean;
  /** The same step to the bit, each dispatch timed by the device. Absent where the runtime or the device can't tell. */
  profile?(parts: readonly TrainingBatch[], learningRate: number): Promise<StepProfile>;
  /** Logits `[n, classes]`, eval mode. */
  predict(batch: ImageBatch): Promise<Float32Array>;
  /**
   * What the head reads, `[n, F]`: the input of `graph.head` in eval mode (dropout does nothing, batch norms take their running
   * statistics); F is `headOf(graph).inFeatures`. Nothing is changed; labels are not looked at.
   */
  features(batch: TrainingBatch | ImageBatch): Promise<Float32Array>;
  /** A copy in torch's layout. */
  readWeights(): Promise<Weights>;
  writeWeights(weights: Weights): Promise<void>;
  readOptimiser(): Promise<OptimiserState>;
  writeOptimiser(state: OptimiserState): Promise<void>;
  dispose(): void;
}

export interface EngineMemory {
  /** Bytes now held in tensors on the device. */
  readonly bytes: number;
  readonly peakBytes: number;
  readonly tensors: number;
}

/** A training step of `images` square images of `imageSize` pixels at once. */
export interface StepShape extends Pick<
  NetworkOptions,
  'trainable' | 'optimiser' | 'recompute' | 'precision' | 'cuts'
> {
  readonly images: number;
  readonly imageSize: number;
}

export interface StepBytes {
  /** Of everything that a step holds on the device. */
  readonly total: number;
  /** Of the largest part that is bound at once: WebGPU's `maxStorageBufferBindingSize`. */
  readonly binding: number;
  /** Of the largest buffer: WebGPU's `maxBufferSize`. */
  readonly buffer: number;
}

export interface Engine {
  readonly adapter: AdapterReport;
  /** How features come about here: two engines with the same name for it on the same adapter give the same bits. Another one where they change. */
  readonly arithmetic: string;
  build(graph: Graph, weights: Weights, options: NetworkOptions): Promise<Network>;
  /** What a training step takes here, before anything is built; as much with `recompute` as without where the runtime can't. */
  stepBytes(graph: Graph, step: StepShape): StepBytes;
  /**
   * From now on `tell` hears how many kernels are compiled of those that were asked for so far: before the first step of each size, at most
   * ten times a second. Where nothing is compiled, or in no time, it hears nothing.
   */
  onPreparing(tell: (ready: number, asked: number) => void): void;
  /**
   * The quickest cuts for a training step here: those of `recorded` where it is of this device, else as measured before, else by a measurement
   * of about two seconds and what compiling takes, of which `tell` hears. Before any network is built. Null: there is nothing to choose here
   * (another runtime, a software adapter). What fails in it is left out; throws `DeviceLostError` and `GpuError` alone.
   */
  tune?(
    graph: Graph,
    step: StepShape,
    options: {
      readonly recorded: Cuts | null;
      /** Aborted: what was not measured by then stays as it is. */
      readonly signal: AbortSignal;
      readonly tell: (done: number, total: number) => void;
    },
  ): Promise<Cuts | null>;
  memory(): EngineMemory;
  /** Resolves with a reason once the device is gone; never rejects. */
  readonly lost: Promise<string>;
  dispose(): Promise<void>;
}

/** What the browser or Node gives; the roots (workers, cli) hand it in. */
export interface EngineEnvironment {
  /** `navigator.gpu`; undefined where there is none. */
  readonly gpu: GPU | undefined;
  /** `isSecureContext`; true in Node. */
  readonly secureContext: boolean;
  /** Without a page: messages then speak of drivers, not of browsers. */
  readonly inNode?: boolean;
  /** `crossOriginIsolated`: whether wasm may have threads. */
  readonly crossOriginIsolated: boolean;
  /** Logical processors. */
  readonly processors: number;
  /** URLs or paths of the three binaries of tfjs's wasm backend, by file name. */
  readonly wasmPaths: WasmPaths;
  /** URL of the script of one thread of the threaded binary; without it wasm has one thread. */
  readonly wasmThreadScript?: string;
  /** For `auto`, where there is a real GPU: which of the two is faster here. Absent: it isn't asked, and the GPU is taken. */
  readonly speeds?: SpeedStore;
  /** Absent: chosen cuts are kept for as long as the process lives. */
  readonly cuts?: CutStore;
}

export interface WasmPaths {
  readonly 'tfjs-backend-wasm.wasm': string;
  readonly 'tfjs-backend-wasm-simd.wasm': string;
  readonly 'tfjs-backend-wasm-threaded-simd.wasm': string;
}
