import type { Members } from '../dataset/types.ts';
import type { Graph, Weights } from '../graph/types.ts';

export type Precision = 'float16' | 'float32';

/**
 * How convolutions' and linear layers' weights lie in the file: in the precision of the arithmetic, or in 8 bits each, by a table of 256
 * values a tensor (`palettized`) or by a scale and a zero point a channel (`linear`).
 */
export type WeightStorage = 'full' | 'palettized' | 'linear';

/** What is said of a model besides its numbers. Whoever exports fills it; a format writes what it has room for. */
export interface ModelMetadata {
  readonly author: string;
  /** One or two sentences. */
  readonly description: string;
  readonly intendedUse: string;
  /** `1.0.0` */
  readonly version: string;
  /** The effective configuration as JSON. */
  readonly config: string;
  readonly dataset: { readonly name: string; readonly hash: string; readonly synthetic: boolean } | null;
  /** How the model did on images that it never saw; null where nothing was held out. */
  readonly test: {
    readonly n: number;
    /** Share, 0–1. */
    readonly accuracy: number;
    /** 95 % interval, shares. */
    readonly interval: readonly [number, number];
  } | null;
  /** How an image that isn't square becomes one: the app must do the same. */
  readonly geometry: 'center_crop' | 'squash';
}

export interface ExportInput {
  /** `PacerIDClassifier`; becomes the file's name. */
  readonly name: string;
  /** A training graph: images, normalised, to logits. */
  readonly graph: Graph;
  readonly weights: Weights;
  /** In the order of the logits. */
  readonly labels: readonly string[];
  /** What it was trained, picked and tested with: whoever trains it further keeps its Test images out. */
  readonly members?: Members;
  /** Pixels, square. */
  readonly imageSize: number;
  /** Of the range 0–1, RGB. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  readonly precision: Precision;
  /** What the logits are divided by before the softmax, > 0: fitted on validation, 1 where that lowered no loss. */
  readonly temperature: number;
  /** `full` where the format knows no other. */
  readonly weightStorage: WeightStorage;
  /** Whether there is a second output with the makers' probabilities (`makers.ts`); a format without it leaves it out. */
  readonly makerOutput: boolean;
  readonly metadata: ModelMetadata;
}

export interface ExportedBytes {
  readonly fileName: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** One folder, one format. README.md says how to add the next. */
export interface ExportFormat {
  /** `mlpackage` */
  readonly id: string;
  /** As the page shows it. */
  readonly label: string;
  /** Who wants it, in a sentence. */
  readonly summary: string;
  /** Of what the browser saves: `.mlpackage.zip`. */
  readonly extension: string;
  readonly mediaType: string;
  /** The precisions that it can hold; the first is the usual one. */
  readonly precisions: readonly Precision[];
  /** How weights can lie in it; absent: `full` alone. */
  readonly weightStorages?: readonly WeightStorage[];
  /** Whether it has room for a second output, of makers. */
  readonly makerOutput?: boolean;
  /** Equal input gives equal bytes. */
  write(input: ExportInput): Promise<ExportedBytes>;
}
