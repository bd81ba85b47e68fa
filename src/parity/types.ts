/** Row-major. Float16 values are held as the float32 numbers that they are; 8-bit weights as what they stand for. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export type Rounding = 'float16' | 'float32';

interface OperationOf<Kind extends string> {
  readonly kind: Kind;
  /** Its output's name, unique; what later operations name as input. */
  readonly name: string;
  /** What its output is rounded to. Sums inside are float32 or better, as on Apple's hardware at its best. */
  readonly rounding: Rounding;
}

/** [top, left] or [height, width]. */
type Pair = readonly [number, number];
/** [top, bottom, left, right] */
type Pads = readonly [number, number, number, number];

/**
 * What a model file says, in the one small language that the interpreter speaks. Whatever the file's layout: activations are
 * `[N,C,H,W]` or `[N,C]`, and a reader permutes what a channels-last format wrote. Inputs are names of constants or of earlier
 * operations; every binary operation broadcasts as NumPy does.
 */
export type Operation =
  | (OperationOf<'conv'> & {
      readonly x: string;
      /** `[out, in/groups, kH, kW]` */
      readonly weight: string;
      readonly bias: string | null;
      readonly strides: Pair;
      readonly dilations: Pair;
      readonly pads: Pads;
      readonly groups: number;
    })
  | (OperationOf<'batchNorm'> & {
      readonly x: string;
      readonly mean: string;
      readonly variance: string;
      readonly gamma: string | null;
      readonly beta: string | null;
      readonly epsilon: number;
    })
  | (OperationOf<'add' | 'sub' | 'mul' | 'div' | 'max' | 'min'> & { readonly x: string; readonly y: string })
  | (OperationOf<'relu' | 'identity'> & { readonly x: string })
  | (OperationOf<'clip'> & { readonly x: string; readonly low: number; readonly high: number })
  /** min(max(alpha · x + beta, 0), 1) */
  | (OperationOf<'hardSigmoid'> & { readonly x: string; readonly alpha: number; readonly beta: number })
  /** x where x ≥ alpha, else alpha: MIL's `thresholded_relu` keeps x or gives 0; a reader picks what its format means by `below`. */
  | (OperationOf<'threshold'> & { readonly x: string; readonly alpha: number; readonly below: 'zero' | 'alpha' })
  /** Pads with −∞. */
  | (OperationOf<'maxPool'> & {
      readonly x: string;
      readonly kernel: Pair;
      readonly strides: Pair;
      readonly pads: Pads;
    })
  | (OperationOf<'avgPool'> & {
      readonly x: string;
      readonly kernel: Pair;
      readonly strides: Pair;
      readonly pads: Pads;
      /** Whether padding counts in the divisor. */
      readonly countsPadding: boolean;
    })
  | (OperationOf<'mean'> & { readonly x: string; readonly axes: readonly number[]; readonly keepDims: boolean })
  | (OperationOf<'reshape'> & { readonly x: string; readonly shape: readonly number[] })
  | (OperationOf<'transpose'> & { readonly x: string; readonly order: readonly number[] })
  | (OperationOf<'concat'> & { readonly inputs: readonly string[]; readonly axis: number })
  /** x `[N, in]` times weight `[out, in]` transposed, plus bias `[out]`. */
  | (OperationOf<'linear'> & { readonly x: string; readonly weight: string; readonly bias: string | null })
  | (OperationOf<'softmax'> & { readonly x: string; readonly axis: number });

/** All that the interpreter gets: nothing of it comes from anywhere but the file's bytes. */
export interface ParsedModel {
  /** Of the image input: what the file calls it and wants of it. It takes values 0–255. */
  readonly input: {
    readonly name: string;
    readonly width: number;
    readonly height: number;
    readonly colors: 'RGB' | 'BGR';
  };
  readonly constants: ReadonlyMap<string, Tensor>;
  /** In an order in which each finds its inputs. The first read `input.name`, which is `[1,3,H,W]`. */
  readonly operations: readonly Operation[];
  /** Names of values `[1, classes]` and `[1, makers]`. */
  readonly probabilities: string;
  /** In the order of `probabilities`. */
  readonly labels: readonly string[];
  readonly makers: { readonly probabilities: string; readonly names: readonly string[] } | null;
  /** float16 if any operation rounds to it, or weights lie in it where the arithmetic is float32. */
  readonly precision: Rounding;
  /** Whether weights lie there in 8 bits. */
  readonly eightBit: boolean;
}

/** Files that can be certified, by the id of their format. */
export type CertifiedFormat = 'mlpackage' | 'mlmodel' | 'onnx' | 'tfjs';

/** One image, and what the trained model says of it. */
export interface CertificateImage {
  /** What it is called in the data set: `Test/MDT - Azure/a.png`. */
  readonly name: string;
  /** Its true class: an index into `labels`. */
  readonly label: number;
  /** Of the trained model, in the order of `labels`. */
  readonly trained: Float32Array;
  /** `[size, size, 3]`, RGB 0–255: what the model's input gets. Read when its turn comes: all together can be more than memory holds. */
  pixels(): Promise<Pixels>;
  /** Whether it is handed on, to show the same elsewhere. */
  readonly golden: boolean;
}

export type Pixels = Uint8Array | Uint8ClampedArray;

export interface CertificateThresholds {
  /** Of a probability. */
  readonly maxDifference: number;
  readonly maxFlips: number;
}

export interface Agreement {
  readonly images: number;
  /** Largest and mean |Δp| over images and classes. */
  readonly maxDifference: number;
  readonly meanDifference: number;
  /** Images whose most probable class is another one. */
  readonly flips: number;
  /** Images that each gets right. */
  readonly right: { readonly trained: number; readonly exported: number };
}

/** `certificate.json`. Equal bytes and equal images give equal certificates: no clock in it. */
export interface Certificate extends Agreement {
  readonly schema: 1;
  readonly format: CertifiedFormat;
  readonly fileName: string;
  /** Of the very bytes that were read back, hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
  readonly precision: Rounding;
  readonly eightBit: boolean;
  readonly labels: readonly string[];
  /** Side of the input, pixels. */
  readonly imageSize: number;
  /** Where the images came from: `test`, `val`, `train` of the data set with this hash. */
  readonly imagesFrom: { readonly split: string; readonly dataset: string; readonly hash: string };
  /** One a class that has images, in the order of `labels`. */
  readonly perClass: readonly (Agreement & { readonly label: string })[];
  readonly thresholds: CertificateThresholds;
  readonly passed: boolean;
  /** What it failed by, a sentence each; empty where it passed. Labels that differ, values that are no numbers: here too. */
  readonly failures: readonly string[];
}

/** What a phone has to say to be the model that was certified. */
export interface Golden extends Pick<CertificateImage, 'name' | 'label' | 'trained'> {
  readonly pixels: Pixels;
  /** By the interpreter, from the file's bytes. */
  readonly exported: Float32Array;
}
