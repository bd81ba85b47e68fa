import { float16Bits } from '../../weights/float16.ts';

/** As many values as eight bits can name. */
const colours = 256;
/** Rounds of Lloyd's algorithm; from the starting point below it has mostly settled after twenty. */
const rounds = 60;
const keys = 65536;

export interface Palettized {
  /** `[256]`, ascending; where the tensor has fewer values, the last is repeated. */
  readonly palette: Float32Array;
  /** Of the palette, one a weight. */
  readonly indices: Uint8Array<ArrayBuffer>;
}

/**
 * A tensor's weights by 256 values, chosen by one-dimensional k-means (least squared error). Deterministic, and fast where tensors are
 * large: weights are counted by the half that they round to (after a scaling by a power of two, so that the largest come near
 * float16's end), and Lloyd's algorithm runs on those at most 65 536 counts instead of on the weights. Finite values only.
 */
export function palettize(values: Float32Array): Palettized {
  const ranks = ranksOf(values);
  const counts = new Uint32Array(keys);
  const sums = new Float64Array(keys);
  for (let i = 0; i < values.length; i++) {
    const rank = ranks[i] as number;
    counts[rank] = (counts[rank] as number) + 1;
    sums[rank] = (sums[rank] as number) + (values[i] as number);
  }
  const bins = binsOf(counts, sums);
  const starts = bins.length <= colours ? Int32Array.from(bins.ranks.keys()) : clusters(bins);
  const palette = new Float32Array(colours);
  const colourOf = new Uint8Array(keys);
  for (let colour = 0; colour < colours; colour++) {
    if (colour >= starts.length) {
      palette[colour] = palette[colour - 1] ?? 0;
      continue;
    }
    const [from, to] = [starts[colour] as number, starts[colour + 1] ?? bins.length];
    palette[colour] = meanOf(bins, from, to);
    for (let bin = from; bin < to; bin++) colourOf[bins.ranks[bin] as number] = colour;
  }
  const indices = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) indices[i] = colourOf[ranks[i] as number] as number;
  return { palette, indices };
}

/** Numbers of halves in ascending order of the values: negative ones count backwards as bits. */
function ranksOf(values: Float32Array): Uint16Array {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i] as number));
  const scale = largest === 0 ? 1 : 2 ** (14 - Math.floor(Math.log2(largest)));
  const ranks = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const bits = float16Bits((values[i] as number) * scale);
    ranks[i] = bits < 0x8000 ? 0x8000 | bits : 0xffff - bits;
  }
  return ranks;
}

interface Bins {
  /** Only those that occur, ascending. */
  readonly ranks: Uint16Array;
  readonly length: number;
  /** Mean of a bin's weights. */
  readonly means: Float64Array;
  /** Of the bins before the given one; `[length + 1]`. */
  readonly countBefore: Float64Array;
  readonly sumBefore: Float64Array;
  /** Of the squares of the bins' means, as many times as they have weights. */
  readonly squaresBefore: Float64Array;
}

function binsOf(counts: Uint32Array, sums: Float64Array): Bins {
  let length = 0;
  for (let rank = 0; rank < keys; rank++) if (counts[rank] !== 0) length++;
  const ranks = new Uint16Array(length);
  const means = new Float64Array(length);
  const countBefore = new Float64Array(length + 1);
  const sumBefore = new Float64Array(length + 1);
  const squaresBefore = new Float64Array(length + 1);
  for (let rank = 0, bin = 0; rank < keys; rank++) {
    const [count, sum] = [counts[rank] as number, sums[rank] as number];
    if (count === 0) continue;
    ranks[bin] = rank;
    means[bin] = sum / count;
    countBefore[bin + 1] = (countBefore[bin] as number) + count;
    sumBefore[bin + 1] = (sumBefore[bin] as number) + sum;
    squaresBefore[bin + 1] = (squaresBefore[bin] as number) + sum ** 2 / count;
    bin++;
  }
  return { ranks, length, means, countBefore, sumBefore, squaresBefore };
}

function meanOf({ sumBefore, countBefore }: Bins, from: number, to: number): number {
  return (
    ((sumBefore[to] as number) - (sumBefore[from] as number)) /
    ((countBefore[to] as number) - (countBefore[from] as number))
  );
}

/** First bin of each of the 256 clusters; more bins than clusters, and no cluster is empty. */
function clusters(bins: Bins): Int32Array {
  const starts = startingPoint(bins);
  for (let round = 0; round < rounds; round++) {
    const centres = Array.from(starts, (start, cluster) => meanOf(bins, start, starts[cluster + 1] ?? bins.length));
    const next = starts.slice();
    for (let cluster = 1; cluster < colours; cluster++) {
      const border = ((centres[cluster - 1] as number) + (centres[cluster] as number)) / 2;
      next[cluster] = firstAbove(bins.means, border);
    }
    fillAll(next, bins.length);
    if (next.every((start, cluster) => start === starts[cluster])) break;
    starts.set(next);
  }
  return starts;
}

/** At the best clusters all have the same squared error, nearly: so the one with the largest is split at its mean, again and again. */
function startingPoint(bins: Bins): Int32Array {
  const { means, countBefore, sumBefore, squaresBefore, length } = bins;
  const between = (before: Float64Array, from: number, to: number) => (before[to] as number) - (before[from] as number);
  const cluster = (from: number, to: number) => {
    const sum = between(sumBefore, from, to);
    // One bin can't be split; what its weights differ by is no error that could be mended.
    const error = to - from < 2 ? -1 : between(squaresBefore, from, to) - sum ** 2 / between(countBefore, from, to);
    return { from, to, error };
  };
  const parts = [cluster(0, length)];
  while (parts.length < colours) {
    let worst = 0;
    for (let part = 1; part < parts.length; part++) {
      if ((parts[part] as Part).error > (parts[worst] as Part).error) worst = part;
    }
    const { from, to } = parts[worst] as Part;
    const middle = Math.min(to - 1, Math.max(from + 1, firstAbove(means, meanOf(bins, from, to))));
    parts.splice(worst, 1, cluster(from, middle), cluster(middle, to));
  }
  return Int32Array.from(parts, ({ from }) => from);
}

interface Part {
  readonly from: number;
  readonly to: number;
  readonly error: number;
}

/** Moves borders as little as gives each cluster a bin. */
function fillAll(starts: Int32Array, bins: number): void {
  for (let cluster = 1; cluster < colours; cluster++) {
    starts[cluster] = Math.max(starts[cluster] as number, (starts[cluster - 1] as number) + 1);
  }
  for (let cluster = colours - 1; cluster > 0; cluster--) {
    starts[cluster] = Math.min(starts[cluster] as number, bins - (colours - cluster));
  }
}

/** Index of the first of ascending values that is greater. */
function firstAbove(values: Float64Array, limit: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as number) > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}
