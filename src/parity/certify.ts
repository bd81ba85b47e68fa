import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { UserError } from '../errors.ts';
import { agreementOf, failuresOf, makerNameFailures, orderOf, worstOf, type Answer } from './comparison.ts';
import { ComparisonBrokenOffError, ImpossibleOperationError, UnreadableModelError } from './errors.ts';
import { interpreter, type Interpreter } from './interpreter/index.ts';
import { pauses, type Pause } from './pauses.ts';
import { readers } from './readers.ts';
import type {
  Certificate,
  CertificateImage,
  CertificateThresholds,
  CertifiedFormat,
  Golden,
  ParsedModel,
} from './types.ts';

export interface CertifyProgress {
  /** The one under way, from 1 on. */
  readonly image: number;
  readonly of: number;
  /** Of all work, 0–1. */
  readonly share: number;
  /** Null until the first steps have shown how fast it goes. */
  readonly secondsLeft: number | null;
}

export interface CertifyOptions {
  /** The very file that the user downloads. */
  readonly bytes: Uint8Array;
  readonly format: CertifiedFormat;
  readonly fileName: string;
  readonly images: readonly CertificateImage[];
  /** Side of the images, pixels. */
  readonly imageSize: number;
  /** Of the trained model, in the order of its probabilities. */
  readonly labels: readonly string[];
  /** What the file was to have beside them, in the order of its second output; null: no such output. */
  readonly makers: readonly string[] | null;
  readonly imagesFrom: Certificate['imagesFrom'];
  readonly thresholds: CertificateThresholds;
  readonly onProgress?: ((progress: CertifyProgress) => void) | undefined;
  /** Its reason is thrown once it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Called about every 30 ms; a worker answers its messages meanwhile. */
  readonly between?: Pause | undefined;
}

/** Bytes that are hashed at a time: a few milliseconds. */
const PIECE = 2 ** 20;

/**
 * Reads the file back, runs it on the images and compares what it says with what the trained model says. A file that can't be read or run
 * gets a certificate, too: one that failed, with the reason; `goldens` are then empty. What goes wrong otherwise says nothing of the file:
 * throws what reading images throws, the reason of the signal, and `ComparisonBrokenOffError`.
 */
export async function certify(options: CertifyOptions): Promise<{ certificate: Certificate; goldens: Golden[] }> {
  const { bytes, format, fileName, imageSize, labels, makers, imagesFrom, thresholds, signal } = options;
  const answers: Answer[] = [];
  const goldens: Golden[] = [];
  const failures: string[] = [];
  let model: ParsedModel | null = null;
  const hash = await hashOf(options);
  try {
    model = await readers[format](bytes, pauses(options.between, signal));
    signal?.throwIfAborted();
    const labelled = orderOf(model.labels, labels);
    const sizes = sizeFailures(model, imageSize);
    failures.push(...labelled.failures, ...makerNameFailures(model.makers?.names ?? null, makers), ...sizes);
    if (labelled.order !== null && sizes.length === 0) {
      const runnable = interpreter(model);
      await answer(runnable, labelled.order, options, answers, goldens);
      const found = failuresOf(model, answers, labels, thresholds);
      failures.push(...found);
      if (found.length > 0 && answers.length > 0)
        failures.push(...(await causes(runnable, labelled.order, worstOf(answers), options)));
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof UnreadableModelError || error instanceof ImpossibleOperationError)
      failures.push(error.message);
    else throw error instanceof UserError ? error : new ComparisonBrokenOffError(error);
  }

  const certificate: Certificate = {
    schema: 1,
    format,
    fileName,
    sha256: hash,
    bytes: bytes.length,
    precision: model?.precision ?? 'float32',
    eightBit: model?.eightBit ?? false,
    labels: [...labels],
    imageSize: model?.input.width ?? imageSize,
    imagesFrom,
    ...agreementOf(answers),
    perClass: labels.flatMap((label, index) => {
      const own = answers.filter(({ image }) => image.label === index);
      return own.length === 0 ? [] : [{ label, ...agreementOf(own) }];
    }),
    thresholds: { maxDifference: thresholds.maxDifference, maxFlips: thresholds.maxFlips },
    passed: failures.length === 0,
    failures,
  };
  return { certificate, goldens };
}

/** The model's images are square. */
function sizeFailures({ input: { width, height } }: ParsedModel, side: number): string[] {
  if (width === side && height === side) return [];
  return [`The file takes images of ${width} × ${height} pixels, the model those of ${side} × ${side}.`];
}

/** `answers` gets one an image, `goldens` those that are handed on; `order`: where in the file each label stands. */
async function answer(
  { run }: Interpreter,
  order: readonly number[],
  { images, onProgress, signal, between }: CertifyOptions,
  answers: Answer[],
  goldens: Golden[],
): Promise<void> {
  const began = performance.now();
  for (const [index, image] of images.entries()) {
    const report = (shareOfImage: number) => {
      const share = (index + shareOfImage) / images.length;
      const seconds = (performance.now() - began) / 1000;
      onProgress?.({
        image: index + 1,
        of: images.length,
        share,
        secondsLeft: share === 0 ? null : (seconds / share) * (1 - share),
      });
    };
    report(0);
    const pixels = await image.pixels();
    const { probabilities, makers, notFinite } = await run(pixels, { onProgress: report, between, signal });
    const exported = Float32Array.from(order, (place) => probabilities[place]!);
    answers.push({ image, exported, makers, notFinite });
    const { name, label, trained } = image;
    if (image.golden) goldens.push({ name, label, pixels, trained, exported });
  }
}

/** Mistakes that are made often, tried on the image that is furthest off: whether it agrees once the mistake is undone. */
async function causes(
  { run }: Interpreter,
  order: readonly number[],
  { image, exported }: Answer,
  { signal, between }: CertifyOptions,
): Promise<string[]> {
  const apart = (values: Float32Array) =>
    agreementOf([{ image, exported: values, makers: null, notFinite: null }]).maxDifference;
  const pixels = Float32Array.from(await image.pixels());
  const tried = [
    [
      'It agrees once red and blue are exchanged: the file has the colours in another order.',
      pixels.map((_, i) => pixels[i + 2 - 2 * (i % 3)]!),
    ],
    [
      'It agrees once each pixel is divided by 255: the file does not bring 0–255 to 0–1.',
      pixels.map((value) => value / 255),
    ],
  ] as const;
  const sentences: string[] = [];
  for (const [sentence, changed] of tried) {
    const { probabilities } = await run(changed, { between, signal });
    if (apart(Float32Array.from(order, (place) => probabilities[place]!)) < apart(exported) / 20)
      sentences.push(sentence);
  }
  return sentences;
}

async function hashOf({ bytes, signal, between }: CertifyOptions): Promise<string> {
  const hash = sha256.create();
  for (let at = 0; at < bytes.length; at += PIECE) {
    hash.update(bytes.subarray(at, at + PIECE));
    await between?.();
    signal?.throwIfAborted();
  }
  return bytesToHex(hash.digest());
}
