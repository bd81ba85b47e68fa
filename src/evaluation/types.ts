import type { RgbImage, Split } from '../dataset/types.ts';

export interface ClassMetrics {
  readonly label: string;
  /** Images of this class. */
  readonly support: number;
  /** Null where nothing was predicted as this class. */
  readonly precision: number | null;
  /** Null where there is no image of this class. */
  readonly recall: number | null;
}

/** What is known after one pass over a split, in eval mode. Shares are 0–1, losses are nats. */
export interface EvaluationReport {
  readonly split: Split;
  readonly n: number;
  /** Of the logits as they were trained, whatever the temperature: what epochs are compared by. */
  readonly loss: number;
  readonly accuracy: number;
  /** Wilson score interval, 95 %. */
  readonly accuracyInterval: readonly [number, number];
  /** Mean over the classes that were predicted at all. */
  readonly precision: number;
  /** Mean over the classes that have images. */
  readonly recall: number;
  readonly perClass: readonly ClassMetrics[];
  /** `[classes][classes]` counts, rows are the truth. */
  readonly confusion: readonly (readonly number[])[];
  /** Image indices into `Dataset.images`, in the order of `probabilities`. */
  readonly indices: readonly number[];
  /** `[n × classes]` float32, row-major: softmax of the logits divided by the temperature. */
  readonly probabilities: Float32Array;
  /** Absent in reports of older versions: 1. */
  readonly temperature?: number;
}

/** A network's answer to one image. */
export interface Prediction {
  /** All classes, most probable first. */
  readonly classes: readonly { readonly label: string; readonly probability: number }[];
  /** What the network saw: the crop, `[size, size, 3]`. */
  readonly seen: RgbImage;
  readonly milliseconds: number;
}
