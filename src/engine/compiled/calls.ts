import type { Memory, Matrix, NormTable, Range, Source, View } from './memory.ts';

/**
 * What a step is made of: calls of kernels, in order. A plan writes them, a table of kernels (kernels.ts) carries them out; neither
 * knows the other. Every call says all that its kernel needs. Sums are made in a fixed order: the same call gives the same bits.
 *
 * No memory is given twice to one call, and none is read and written, unless it says `in place`: then it is the same view.
 */
export type Call =
  | Conv
  | ConvInputGradient
  | ConvFilterGradient
  | Depthwise
  | DepthwiseInputGradient
  | DepthwiseFilterGradient
  | SliceSums
  | ColumnSums
  | Statistics
  | NormTableOfBatch
  | NormTableOfRunning
  | NormBackward
  | NormApply
  | ActivationBackward
  | Add
  | Materialise
  | Fill
  | MaxPool
  | MaxPoolBackward
  | AvgPool
  | AvgPoolBackward
  | GlobalAvgPool
  | ScaleGradient
  | CrossEntropy;

export type CallOf<K extends Call['kind']> = Extract<Call, { kind: K }>;

interface CallBase<K extends string> {
  readonly kind: K;
  /** Node of the graph, for profiles and messages. */
  readonly node: string;
}

/** Of square windows with symmetric zero padding. */
export interface Geometry {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

/**
 * Sums over rows, made tile by tile and added up by whoever reads them: `[2 · tiles, channels]`, tile t covers rows
 * `t · tileRows … (t + 1) · tileRows − 1` as far as they exist.
 * Of statistics: row 2t is the tile's mean, row 2t + 1 the sum of squared differences from it.
 * Of gradients: row 2t is Σ dz, row 2t + 1 Σ dz · x̂.
 */
export interface Partials {
  readonly matrix: Matrix;
  readonly tiles: number;
  readonly tileRows: number;
}

/**
 * out[m, o] = bias[o] + Σ source[m at tap, c] · weight[tap, c, o]. Weights `[kernel, kernel, inChannels, outChannels]`, both padded.
 * A linear layer is a 1×1 convolution of maps of one pixel.
 */
export interface Conv extends CallBase<'conv'>, Geometry {
  readonly source: Source;
  readonly weight: Range;
  readonly bias: Range | null;
  readonly out: View;
  /** Statistics of `out`; null: not wanted, or the kernel can't and `statistics` is called. */
  readonly statistics: Partials | null;
}

/**
 * What the reader of a norm does with the gradient of its value in one go: dz = gradient · activation'(z), z and x̂ from `source`
 * (whose `norm` is set and whose `factor` is null), and the sums of dz.
 */
export interface NormEpilogue {
  readonly source: Source;
  readonly sums: Partials;
}

/**
 * out[m, c] = Σ dy[…, o] · weight[tap, c, o] over all outputs that read (m, c); with `accumulate` added to what is there (with an epilogue
 * only where it gives a part of dx).
 */
export interface ConvInputGradient extends CallBase<'convInputGradient'>, Geometry {
  readonly dy: View;
  readonly weight: Range;
  readonly out: View;
  readonly accumulate: boolean;
  /** `partOfDx`: out takes a · dz, all of dx = a · dz + b · x + d that is known before the sums (a is the table's scale), in place of dz. */
  readonly epilogue: (NormEpilogue & { readonly partOfDx?: true }) | null;
}

/** gradient[tap, c, o] += Σ source[m at tap, c] · dy[m, o]. */
export interface ConvFilterGradient extends CallBase<'convFilterGradient'>, Geometry {
  readonly source: Source;
  readonly dy: View;
  readonly gradient: Range;
  /** Where a later `sliceSums` finds its sums over parts of the rows; absent: they are added to `gradient` at once. */
  readonly slices?: Slices;
}

/** Weights `[kernel, kernel, channels]`. */
export interface Depthwise extends CallBase<'depthwise'>, Geometry {
  readonly source: Source;
  readonly weight: Range;
  readonly bias: Range | null;
  readonly out: View;
  readonly statistics: Partials | null;
}
export interface DepthwiseInputGradient extends CallBase<'depthwiseInputGradient'>, Geometry {
  readonly dy: View;
  readonly weight: Range;
  readonly out: View;
  readonly accumulate: boolean;
  readonly epilogue: NormEpilogue | null;
}
export interface DepthwiseFilterGradient extends CallBase<'depthwiseFilterGradient'>, Geometry {
  readonly source: Source;
  readonly dy: View;
  readonly gradient: Range;
  readonly slices?: Slices;
}

/** `[slices, floats of the filter]` from float `first` on, a multiple of 4; as many as the kernel says (`KernelTraits.slices`). */
export interface Slices {
  readonly memory: Memory;
  readonly first: number;
}

/** gradient[i] += Σ over `count` slices of slices[first + slice · floats + i], of each of some filters. Their gradients are in one memory. */
export interface SliceSums extends CallBase<'sliceSums'> {
  readonly slices: Memory;
  readonly filters: readonly {
    readonly first: number;
    readonly count: number;
    readonly floats: number;
    readonly gradient: Range;
  }[];
}

/** gradient[c] += Σ of a column: of a bias. */
export interface ColumnSums extends CallBase<'columnSums'> {
  readonly dy: View;
  readonly gradient: Range;
}

/** Mean and squared differences of raw values, where no epilogue made them. Two passes, or as good: mean ≫ deviation must not hurt. */
export interface Statistics extends CallBase<'statistics'> {
  readonly view: View;
  readonly partials: Partials;
}

/**
 * The table of a batch norm in train mode. First, for each of `fresh`, mean and biased variance of its channels are made of partials and
 * written to `moments` (`[2, channels of the matrix]`: mean, biased variance), which is in place; then the table of the norm's own
 * channels, from `first` of the moments on (a norm of a dense block reads what layers before it have written), and
 * running = (1 − momentum) · running + momentum · (mean, variance · rows / (rows − 1)), in place.
 */
export interface NormTableOfBatch extends CallBase<'normTableOfBatch'> {
  /** At most one; null: all moments are there. `first`: channel of the moments with which it begins. */
  readonly fresh: { readonly partials: Partials; readonly first: number; readonly channels: number } | null;
  readonly rows: number;
  readonly moments: Matrix;
  /** Channel of the moments with which the norm begins. */
  readonly first: number;
  readonly gamma: Range;
  readonly beta: Range;
  readonly eps: number;
  readonly table: NormTable;
  readonly runningMean: Range;
  readonly runningVariance: Range;
  readonly momentum: number;
}

/** The same of running statistics, in eval mode. */
export interface NormTableOfRunning extends CallBase<'normTableOfRunning'> {
  readonly gamma: Range;
  readonly beta: Range;
  readonly eps: number;
  readonly runningMean: Range;
  readonly runningVariance: Range;
  readonly table: NormTable;
}

/**
 * Sums of dz to the norm's gradients (added) and to the coefficients of dx = a · dz + b · x + d, 4 rows: a, b, d, unused.
 * a = γ · inverse; b = −a · inverse · Σ(dz · x̂) / rows; d = −a · Σdz / rows − b · mean. Ioffe & Szegedy 2015, section 3.
 * `of` the whole dx; or of its rest: a · dz is where dx is to be already, and a is 1; or of a rest that is added to what other norms of x have
 * left, b and d.
 */
export interface NormBackward extends CallBase<'normBackward'> {
  readonly sums: Partials;
  readonly rows: number;
  readonly norm: NormTable;
  readonly gammaGradient: Range;
  readonly betaGradient: Range;
  readonly coefficients: View;
  readonly of: 'whole' | 'rest' | 'added';
}

/** out = (accumulate ? out : 0) + a · dz + b · x + d. In place where `out` is `dz`. */
export interface NormApply extends CallBase<'normApply'> {
  readonly dz: View;
  readonly x: View;
  /** As `NormBackward` writes them. */
  readonly coefficients: View;
  readonly out: View;
  readonly accumulate: boolean;
}

/**
 * The gradient g of a source's value (without its factor) to that of its z: dz = g · activation'(z), where
 * g = gradient · factor + pooled / pixels. At least one of gradient and pooled. In place where `out` is `gradient`; out null: only the
 * sums are wanted (activation none, g is dz). With `sums`, `source.norm` is set.
 */
export interface ActivationBackward extends CallBase<'activationBackward'> {
  readonly gradient: View | null;
  /** `[images, channels]`. */
  readonly factor: View | null;
  /** Gradient of the mean over all pixels of an image, `[images, channels]`. */
  readonly pooled: View | null;
  readonly images: number;
  /** Of an image: rows = images · pixels. */
  readonly pixels: number;
  /** Its factor is null. */
  readonly source: Source;
  readonly out: View | null;
  readonly accumulate: boolean;
  readonly sums: Partials | null;
}

/** out = a + b. */
export interface Add extends CallBase<'add'> {
  readonly images: number;
  readonly pixels: number;
  readonly a: Source;
  readonly b: Source;
  readonly out: View;
}

/** out = source; with `accumulate` added to what is there. */
export interface Materialise extends CallBase<'materialise'> {
  readonly images: number;
  readonly pixels: number;
  readonly source: Source;
  readonly out: View;
  readonly accumulate: boolean;
}

/** All channels of all rows. */
export interface Fill extends CallBase<'fill'> {
  readonly out: View;
  readonly value: number;
}

/** What lies outside never wins. */
export interface MaxPool extends CallBase<'maxPool'>, Geometry {
  readonly source: Source;
  readonly out: View;
}
/** The first maximum of a window, row by row, takes its gradient. `gradient`: of the source's value. */
export interface MaxPoolBackward extends CallBase<'maxPoolBackward'>, Geometry {
  readonly source: Source;
  readonly dy: View;
  readonly gradient: View;
}
export interface AvgPool extends CallBase<'avgPool'>, Geometry {
  readonly source: Source;
  readonly out: View;
}
export interface AvgPoolBackward extends CallBase<'avgPoolBackward'>, Geometry {
  readonly dy: View;
  readonly gradient: View;
}

/** out[image, c] = mean of source over the image's pixels. */
export interface GlobalAvgPool extends CallBase<'globalAvgPool'> {
  readonly images: number;
  readonly pixels: number;
  readonly source: Source;
  readonly out: View;
}

/** out[image, c] = Σ over pixels of gradient · source (without factor): the gradient of a factor. */
export interface ScaleGradient extends CallBase<'scaleGradient'> {
  readonly images: number;
  readonly pixels: number;
  readonly gradient: View;
  readonly source: Source;
  readonly out: View;
}

/**
 * Softmax cross-entropy of `classes` ≤ channels logits a row; the rest of `gradient` is set to 0.
 * `losses[row]` = −Σ over c of w[c] · target[c] · log softmax[c], nats (not scaled), target = (1 − smoothing) · one-hot + smoothing / classes;
 * gradient = step.scale times that of `losses[row]`: w[label] · (softmax − one-hot) without smoothing. A logit or loss that is not finite
 * sets `step.bad` to 1 (bits). torch.nn.functional.cross_entropy with reduction sum, also where there are both weights and smoothing.
 */
export interface CrossEntropy extends CallBase<'crossEntropy'> {
  readonly logits: View;
  readonly rows: number;
  readonly classes: number;
  /** int32 bits, one a row. */
  readonly labels: Memory;
  /** One a class; null: all 1. */
  readonly classWeights: Memory | null;
  readonly smoothing: number;
  readonly step: Memory;
  readonly losses: Memory;
  readonly gradient: View;
}

/** What changes from step to step, as words of one `kept` memory that the processor writes before each step. */
export const STEP_WORDS = {
  /**
   * 0, or 1 once a loss was not finite: then nothing is updated. Bits. It stays until the processor has seen it: a step that was handed over
   * meanwhile must update nothing either. The other words are written for each step.
   */
  bad: 0,
  /** The loss scale, 1 without, / sum over the whole batch of the labels' class weights, float: 1 / images where all are alike. */
  scale: 1,
  /** What gradients are multiplied with before anything else, 1 / the loss scale that is in `scale`; float. Read where they are scaled alone. */
  unscale: 2,
  /** Of the optimiser, floats, in the order of its `wgsl.floats`. */
  optimiser: 4,
  words: 64,
} as const;
