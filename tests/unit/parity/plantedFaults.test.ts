import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { architectures } from '../../../src/architectures/index.ts';
import { exportFormats, type ExportInput } from '../../../src/export/index.ts';
import { withBatchNormEps } from '../../../src/graph/batchNormEps.ts';
import type { Weights } from '../../../src/graph/types.ts';
import { readers } from '../../../src/parity/readers.ts';
import type { CertificateImage, CertifiedFormat } from '../../../src/parity/types.ts';
import { certifiedOn, imagesFor, inputFor, labels, written } from './certified.ts';
import { faultyFiles, type Part } from './faultyFiles.ts';

/** What goes wrong between a trained model and a file, put into files of every format: no certificate passes. */
const networks = ['tiny', 'mobilenet_v3_small'] as const;
type Network = (typeof networks)[number];
const formats = Object.keys(readers) as CertifiedFormat[];
const files: readonly (readonly [Network, CertifiedFormat])[] = [
  ...formats.map((format) => ['tiny', format] as const),
  ['mobilenet_v3_small', 'mlpackage'],
];

const images = {} as Record<Network, CertificateImage[]>;
beforeAll(async () => {
  for (const name of networks) images[name] = await imagesFor(name);
});

/** As configs/base.yaml has them. */
const allowed = { float32: 1e-5, float16: 5e-3, eightBit: 0.05 } as const;
type Allowed = keyof typeof allowed;
const certified = (name: Network, format: CertifiedFormat, bytes: Uint8Array, as: Allowed = 'float32') =>
  certifiedOn(images[name], bytes, { format, thresholds: { maxDifference: allowed[as], maxFlips: 0 } });

/** The network that takes the same images in BGR: its first convolution's inputs in the other order, and with them mean and std. */
function inBgr(name: Network): Partial<ExportInput> {
  const { graph, weights, mean, std } = inputFor(name);
  const first = graph.nodes.find(({ op }) => op === 'conv2d')!;
  const key = `${first.name}.weight`;
  const { shape, data } = weights.get(key)!;
  const area = shape[2]! * shape[3]!;
  const turned = data.map((_, i) => {
    const channel = Math.floor(i / area) % 3;
    return data[i + (2 - 2 * channel) * area]!;
  });
  const reversed = ([r, g, b]: readonly [number, number, number]) => [b, g, r] as const;
  const changed: Weights = new Map(weights).set(key, { shape, data: turned });
  return { weights: changed, mean: reversed(mean), std: reversed(std) };
}
function without255(name: Network): Partial<ExportInput> {
  const scaled = (values: readonly number[]) => values.map((value) => value / 255) as [number, number, number];
  const { mean, std } = architectures[name];
  return { mean: scaled(mean), std: scaled(std) };
}

const differ = /probabilities differ by more than 0\.00001, by .* on image \d \(“[^”]+”\) the file/;
/** `fits`: whether a format has room for the fault; absent: all have. `says`: in one of the certificate's sentences. */
const faults: readonly {
  readonly fault: string;
  readonly fits?: (format: CertifiedFormat) => boolean;
  readonly planted: (name: Network, format: CertifiedFormat) => Promise<Uint8Array>;
  readonly says: (format: CertifiedFormat) => RegExp;
}[] = [
  {
    fault: 'without the division by 255',
    planted: (name, format) => written(name, without255(name), format),
    says: () => /divided by 255: the file does not bring 0–255 to 0–1/,
  },
  {
    fault: 'of a network for images in BGR',
    planted: (name, format) => written(name, inBgr(name), format),
    says: () => /red and blue are exchanged/,
  },
  {
    fault: 'that says that its image is in BGR',
    fits: (format) => faultyFiles[format].saysBgr !== null,
    planted: async (name, format) => faultyFiles[format].saysBgr!(await written(name, {}, format)),
    // A model file adds to each colour its own, wherever that stands: exchanging pixels doesn't undo it.
    says: (format) => (format === 'mlmodel' ? differ : /red and blue are exchanged/),
  },
  {
    fault: 'without softmax',
    planted: async (name, format) => faultyFiles[format].withoutSoftmax(await written(name, {}, format)),
    says: () => /On 4 of 4 images .* no probabilities: they add up to .* softmax/,
  },
  {
    fault: 'with batch norms folded by another epsilon, torch’s for MobileNet’s and the reverse',
    planted: (name, format) => {
      const graph = withBatchNormEps(inputFor(name).graph, name === 'tiny' ? 1e-3 : 1e-5);
      return written(name, { graph }, format);
    },
    says: () => differ,
  },
  {
    fault: 'with the labels in another order',
    planted: (name, format) => written(name, { labels: labels.toReversed() }, format),
    says: () =>
      /^The file’s classes stand in another order: 4 of 4 are elsewhere; number 1 is “STJ - Früh” there and “MDT - Azure” in the model\.$/,
  },
];

/** In a number of a weight, from the lowest byte on; `table`: in one by which 8 bits become a weight. */
interface Flip {
  readonly what: string;
  readonly as: Allowed;
  readonly how?: Partial<ExportInput>;
  readonly part: Part;
  /** Bytes of a number. */
  readonly width: number;
  readonly byte: number;
  readonly bits: number;
}
const float32 = { as: 'float32', how: { precision: 'float32' }, part: 'numbers', width: 4 } as const;
const float16 = { as: 'float16', how: { precision: 'float16' }, part: 'numbers', width: 2 } as const;
const table = { part: 'table', width: 4 } as const;
const eightBit = { part: 'numbers', width: 1 } as const;
const palettized = { as: 'eightBit', how: { weightStorage: 'palettized' } } as const;
const linear = { as: 'eightBit', how: { weightStorage: 'linear' } } as const;

const seen: Readonly<Record<Network, readonly Flip[]>> = {
  tiny: [
    { ...float32, what: 'the top of a float32 exponent', byte: 3, bits: 0x40 },
    { ...float32, what: 'the last but one of a float32 exponent: a factor of four', byte: 3, bits: 0x01 },
    { ...float32, what: 'a float32 sign', byte: 3, bits: 0x80 },
    { ...float32, what: 'the top of a float32 mantissa', byte: 2, bits: 0x40 },
    { ...float16, what: 'the top of a float16 exponent, in its high byte', byte: 1, bits: 0x40 },
    { ...table, ...palettized, what: 'an entry of the table of 8 bits', byte: 3, bits: 0x40 },
    { ...table, ...linear, what: 'a channel’s scale of 8 bits', byte: 3, bits: 0x40 },
  ],
  mobilenet_v3_small: [{ ...float32, what: 'the top of a float32 exponent', byte: 3, bits: 0x40 }],
};

/**
 * A threshold lets pass what moves no probability by more. The lowest byte of one float32 weight doesn't (of the middle one it depends on the
 * weight); where 0.005 or 0.05 are allowed, neither does one whole weight of 8 bits, nor one that turns off one of MobileNet's 1024 hidden
 * units. That such a file is another than the one that was certified is told by the SHA-256 in the certificate alone, by which a registry
 * knows it: registry/proof.test.ts, “is none from the beginning where it is of other bytes than those that were written”.
 */
const unseen: Readonly<Record<Network, readonly Flip[]>> = {
  tiny: [
    { ...float32, what: 'the lowest byte of a float32 mantissa', byte: 0, bits: 0xff },
    { ...float16, what: 'the low byte of a float16 mantissa', byte: 0, bits: 0xff },
    { ...eightBit, ...palettized, what: 'an index of 8 bits', byte: 0, bits: 0x80 },
    { ...eightBit, ...linear, what: 'a number of 8 bits', byte: 0, bits: 0x80 },
  ],
  mobilenet_v3_small: [
    { ...float16, what: 'the top of the exponent of one of many float16 weights', byte: 1, bits: 0x40 },
  ],
};

const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const holds = (format: CertifiedFormat, { how }: Pick<Flip, 'how'>) =>
  how?.weightStorage === undefined || exportFormats[format].weightStorages!.includes(how.weightStorage);
/** Of the number in the middle of the largest tensor. */
async function flipped(name: Network, format: CertifiedFormat, flip: Flip) {
  const bytes = await written(name, flip.how, format);
  const changed = await faultyFiles[format].changed(bytes, flip.part, (data) => {
    data[flip.width * Math.floor(data.length / flip.width / 2) + flip.byte]! ^= flip.bits;
  });
  return { bytes, changed };
}

describe.each(files)('a file of %s as %s', (name, format) => {
  const heldOf = <Kind extends Pick<Flip, 'how' | 'as'>>(kinds: Readonly<Record<Network, readonly Kind[]>>) =>
    kinds[name].filter((kind) => holds(format, kind));

  // Else no failure would mean anything.
  it.each(heldOf({ tiny: [float32, float16, palettized, linear], mobilenet_v3_small: [float32] }))(
    'passes as it was written: $how',
    async ({ how, as }) => {
      const { certificate } = await certified(name, format, await written(name, how, format), as);
      expect(certificate).toMatchObject({ passed: true, eightBit: as === 'eightBit' });
    },
  );

  const fitting = faults.filter(({ fits }) => fits?.(format) ?? true);
  it.each(fitting)('fails $fault, and says so', async ({ planted, says }) => {
    const { certificate } = await certified(name, format, await planted(name, format));
    expect(certificate.passed).toBe(false);
    expect(certificate.failures).toContainEqual(expect.stringMatching(says(format)));
  });

  it.each(heldOf(seen))('fails with a byte changed: $what', async (flip) => {
    const { changed } = await flipped(name, format, flip);
    const { certificate } = await certified(name, format, changed, flip.as);
    expect(certificate.passed).toBe(false);
    expect(certificate.failures.join('\n')).toMatch(/probabilities differ|range of float\d\d numbers/);
  });

  it.each(heldOf(unseen))('passes with a byte changed, and is another file by its SHA-256: $what', async (flip) => {
    const { bytes, changed } = await flipped(name, format, flip);
    const before = await certified(name, format, bytes, flip.as);
    const after = await certified(name, format, changed, flip.as);
    expect([before, after].map(({ certificate }) => certificate)).toMatchObject([
      { passed: true, sha256: sha256Of(bytes) },
      { passed: true, sha256: sha256Of(changed) },
    ]);
    expect(sha256Of(changed)).not.toBe(sha256Of(bytes));
    // The byte was read: it is the threshold that lets it pass.
    const moved = before.goldens.flatMap(({ exported }, i) =>
      Array.from(exported, (p, c) => Math.abs(p - after.goldens[i]!.exported[c]!)),
    );
    if (flip.as === 'eightBit') expect(Math.max(...moved)).toBeGreaterThan(1e-4);
  });
});
