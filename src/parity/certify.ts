import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { agreementOf, failuresOf, orderOf, worstOf, type Answer } from './comparison.ts';
import { interpreter, type Interpreter } from './interpreter/index.ts';
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
  /** Of the trained model, in the order of its probabilities. */
  readonly labels: readonly string[];
  readonly imagesFrom: Certificate['imagesFrom'];
  readonly thresholds: CertificateThresholds;
  readonly onProgress?: ((progress: CertifyProgress) => void) | undefined;
  /** Its reason is thrown once it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Called about every 30 ms; a worker answers its messages meanwhile. */
  readonly between?: (() => Promise<void>) | undefined;
}

/** Bytes that are hashed at a time: a few milliseconds. */
const PIECE = 2 ** 20;

/**
 * Reads the file back, runs it on the images and compares what it says with what the trained model says. A file that can't be read or run
 * gets a certificate, too: one that failed, with the reason; `goldens` are then empty.
 */
export async function certify(options: CertifyOptions): Promise<{ certificate: Certificate; goldens: Golden[] }> {
  const { bytes, format, fileName, images, labels, imagesFrom, thresholds, signal } = options;
  const answers: Answer[] = [];
  const failures: string[] = [];
  let model: ParsedModel | null = null;
  const hash = await hashOf(options);
  try {
    model = await readers[format](bytes);
    signal?.throwIfAborted();
    const labelled = orderOf(model.labels, labels);
    failures.push(...labelled.failures, ...sizeFailures(model, images));
    if (labelled.order !== null && sizeFailures(model, images).length === 0) {
      const runnable = interpreter(model);
      await answer(runnable, labelled.order, options, answers);
      const found = failuresOf(model, answers, labels, thresholds);
      failures.push(...found);
      if (found.length > 0 && answers.length > 0)
        failures.push(...(await causes(runnable, labelled.order, worstOf(answers), options)));
    }
  } catch (error) {
    signal?.throwIfAborted();
    failures.push(error instanceof Error ? error.message : String(error));
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
    imageSize: model?.input.width ?? Math.round(Math.sqrt((images[0]?.pixels.length ?? 0) / 3)),
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
  const goldens = answers.map(({ image, exported }): Golden => ({ ...image, exported }));
  return { certificate, goldens };
}

function sizeFailures({ input }: ParsedModel, images: readonly CertificateImage[]): string[] {
  // The model's are square.
  const fits = (pixels: ArrayLike<number>): boolean =>
    input.width === input.height && pixels.length === 3 * input.width * input.height;
  const other = images.find(({ pixels }) => !fits(pixels));
  if (other === undefined) return [];
  const side = Math.round(Math.sqrt(other.pixels.length / 3));
  return [`The file takes images of ${input.width} × ${input.height} pixels, the model those of ${side} × ${side}.`];
}

/** `answers` gets one an image; `order`: where in the file each label stands. */
async function answer(
  { run }: Interpreter,
  order: readonly number[],
  { images, onProgress, signal, between }: CertifyOptions,
  answers: Answer[],
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
    const { probabilities, makers, notFinite } = await run(image.pixels, { onProgress: report, between, signal });
    answers.push({ image, exported: Float32Array.from(order, (place) => probabilities[place]!), makers, notFinite });
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
  const pixels = Float32Array.from(image.pixels);
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
