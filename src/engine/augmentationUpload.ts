import { fixedAffine, type Augmentation, type Picture } from './augmentation.ts';

/**
 * Pictures and their augmentations as the kernels read them: bit patterns, `WORDS` of parameters an image, and what is inside each crop box,
 * row by row, three bytes a pixel; each image begins with a word.
 */
export type Pictures = readonly (readonly [Picture, Augmentation])[];

/** Words of parameters an image. */
export const WORDS = 16;
export const WORD = {
  /** Word of its `pixels…` with which it begins. */
  begin: 0,
  width: 1,
  height: 2,
  flip: 3,
  /** Six whole numbers (`fixedAffine`). */
  matrix: 4,
  /** A kind and a factor (float) each. */
  steps: 10,
} as const;
export const MOST_STEPS = (WORDS - WORD.steps) / 2;
/** 0: no step. */
export const STEP_KIND = { brightness: 1, contrast: 2, saturation: 3 } as const;

/** Bytes of one `pixels…`, except that a single image may have more: half of what every adapter can bind. */
export const UPLOAD = 2 ** 26;

/** Images `first … end − 1` in one upload of so many words. */
export interface Upload {
  readonly first: number;
  readonly end: number;
  readonly words: number;
}

/** `upload`: bytes of one upload. */
export function describeUploads(
  pictures: Pictures,
  upload = UPLOAD,
): { readonly parameters: Int32Array; readonly parts: readonly Upload[]; readonly hasContrast: boolean } {
  const parameters = new Int32Array(pictures.length * WORDS);
  const floats = new Float32Array(parameters.buffer);
  const parts: Upload[] = [];
  for (let first = 0; first < pictures.length; first = parts.at(-1)!.end) {
    let end = first;
    let words = 0;
    for (; end < pictures.length; end++) {
      const [, augmentation] = pictures[end]!;
      const more = wordsOf(augmentation);
      if (end > first && (words + more) * 4 > upload) break;
      describe(augmentation, words, end * WORDS, parameters, floats);
      words += more;
    }
    parts.push({ first, end, words });
  }
  const hasContrast = pictures.some(([, { jitter }]) => jitter.some(([kind]) => kind === 'contrast'));
  return { parameters, parts, hasContrast };
}

/** Writes the crops of an upload to its `pixels`, where `parameters` say. */
export function copyCrops(
  pictures: Pictures,
  first: number,
  end: number,
  parameters: Int32Array,
  pixels: Int32Array,
): void {
  for (let i = first; i < end; i++) copyCrop(pictures[i]!, pixels, parameters[i * WORDS + WORD.begin]!);
}

function wordsOf({ crop: { width, height } }: Augmentation): number {
  return Math.ceil((width * height * 3) / 4);
}

/** Writes an image's parameters at `at`. */
function describe(
  { crop, flip, matrix, jitter }: Augmentation,
  begin: number,
  at: number,
  words: Int32Array,
  floats: Float32Array,
): void {
  const contrasts = jitter.filter(([kind]) => kind === 'contrast').length;
  if (jitter.length > MOST_STEPS || contrasts > 1) throw new Error('The kernel has each colour step once.');
  words[at + WORD.begin] = begin;
  words[at + WORD.width] = crop.width;
  words[at + WORD.height] = crop.height;
  words[at + WORD.flip] = flip ? 1 : 0;
  words.set(fixedAffine(matrix), at + WORD.matrix);
  jitter.forEach(([kind, factor], i) => {
    words[at + WORD.steps + 2 * i] = STEP_KIND[kind];
    floats[at + WORD.steps + 2 * i + 1] = factor;
  });
}

function copyCrop(
  [{ width, data }, { crop }]: readonly [Picture, Augmentation],
  words: Int32Array,
  begin: number,
): void {
  // WebGPU is little-endian, and so is every machine that has it.
  const bytes = new Uint8Array(words.buffer, begin * 4);
  for (let y = 0; y < crop.height; y++) {
    const from = ((crop.top + y) * width + crop.left) * 3;
    bytes.set(data.subarray(from, from + crop.width * 3), y * crop.width * 3);
  }
}
