import type { Members } from '../dataset/types.ts';
import type { Graph, Weights } from '../graph/types.ts';

export type Precision = 'float16' | 'float32';

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
  /** Equal input gives equal bytes. */
  write(input: ExportInput): Promise<ExportedBytes>;
}
