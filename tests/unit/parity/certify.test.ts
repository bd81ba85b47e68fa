import { create } from '@bufbuild/protobuf';
import { createHash } from 'node:crypto';
import JSZip from 'jszip';
import { beforeAll, describe, expect, it } from 'vitest';
import { ValueSchema, type Value } from '../../../src/export/coreml/generated/MIL_pb.ts';
import { exportFormats } from '../../../src/export/index.ts';
import { withBatchNormEps } from '../../../src/graph/batchNormEps.ts';
import type { CertifyOptions, CertifyProgress } from '../../../src/parity/certify.ts';
import { UserError } from '../../../src/errors.ts';
import { ComparisonBrokenOffError } from '../../../src/parity/errors.ts';
import { failuresOf } from '../../../src/parity/comparison.ts';
import { roundToFloat16 } from '../../../src/parity/interpreter/float16.ts';
import { readMlpackage } from '../../../src/parity/mlpackage/read.ts';
import { pauses } from '../../../src/parity/pauses.ts';
import { readers } from '../../../src/parity/readers.ts';
import type { CertificateImage, CertifiedFormat } from '../../../src/parity/types.ts';
import { certifiedOn, imagesFor, inputFor, labels, pixelsOf, size, written } from './certified.ts';
import { edited, editedModel, largestBlob, operationsOf, packageFolder } from './faultyFiles.ts';

const networks = ['tiny', 'mobilenet_v3_small'] as const;

const images = {} as Record<(typeof networks)[number], CertificateImage[]>;
beforeAll(async () => {
  for (const name of networks) images[name] = await imagesFor(name);
});

const certified = (name: (typeof networks)[number], bytes: Uint8Array, change: Partial<CertifyOptions> = {}) =>
  certifiedOn(images[name], bytes, change);

const flipped = (bytes: Uint8Array, at: number, bit: number) => {
  const changed = bytes.slice();
  changed[at]! ^= bit;
  return changed;
};

describe.each(networks)('%s', (name) => {
  it('passes as it was exported, with figures and goldens', async () => {
    const bytes = await written(name);
    const { certificate, goldens } = await certified(name, bytes);
    expect(certificate.failures).toEqual([]);
    expect(certificate).toMatchObject({
      schema: 1,
      passed: true,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      bytes: bytes.length,
      precision: 'float32',
      eightBit: false,
      labels,
      imageSize: size,
      images: 4,
      flips: 0,
      thresholds: { maxDifference: 1e-5, maxFlips: 0 },
    });
    // The trained model is one of rows that differ: a constant would agree with anything.
    const firsts = images[name].map(({ trained }) => trained[0]!);
    expect(Math.max(...firsts) - Math.min(...firsts)).toBeGreaterThan(0.01);
    expect(certificate.perClass.map(({ label, images: n }) => [label, n])).toEqual([
      [labels[0], 2],
      [labels[1], 2],
    ]);
    const right = images[name].filter(({ trained, label }) => trained.indexOf(Math.max(...trained)) === label).length;
    expect(certificate.right).toEqual({ trained: right, exported: right });
    const apart = goldens.map(({ exported, trained }) =>
      Math.max(...exported.map((p, i) => Math.abs(p - trained[i]!))),
    );
    expect(certificate.maxDifference).toBeGreaterThanOrEqual(Math.max(...apart));
    expect(certificate.maxDifference).toBeLessThan(1e-5);
    // Those that are to be handed on, with their pixels.
    expect(goldens.map(({ name, pixels }) => [name, pixels])).toEqual(
      [0, 1, 2].map((i) => [`Test/${i}.png`, pixelsOf(`parity ${i}`)]),
    );
    expect((await certified(name, bytes)).certificate).toEqual(certificate);
  });

  it('passes in float16 and in 8 bits at their own thresholds, and says what it is', async () => {
    const half = await certified(name, await written(name, { precision: 'float16' }), {
      thresholds: { maxDifference: 0.05, maxFlips: 0 },
    });
    expect(half.certificate).toMatchObject({ passed: true, precision: 'float16', eightBit: false });
    expect(half.certificate.maxDifference).toBeGreaterThan(1e-6);
    // What a scale makes of 8 bits is a float16 number where the arithmetic is float16.
    const model = await readMlpackage(await written(name, { precision: 'float16', weightStorage: 'linear' }));
    for (const { shape, data } of model.constants.values()) {
      if (shape.length !== 4 || shape[2] === 1) continue;
      const rounded = data.slice();
      roundToFloat16(rounded);
      expect(rounded).toEqual(data);
    }
    for (const weightStorage of ['palettized', 'linear'] as const) {
      const packed = await certified(name, await written(name, { weightStorage }), {
        thresholds: { maxDifference: 0.2, maxFlips: 4 },
      });
      expect(packed.certificate).toMatchObject({ passed: true, eightBit: true });
      expect(packed.certificate.maxDifference).toBeGreaterThan(1e-5);
    }
  });

  it('names no image by its file, which may be called after a patient', async () => {
    const { graph } = inputFor(name);
    const bytes = await written(name, { graph: withBatchNormEps(graph, 0.5) });
    const { certificate } = await certified(name, bytes, { thresholds: { maxDifference: 1e-9, maxFlips: 0 } });
    expect(certificate.passed).toBe(false);
    expect(JSON.stringify(certificate)).not.toMatch(/Test\/|\.png/);
  });
});

describe('a file that can’t be read', () => {
  it('fails with the reader’s sentence, whatever byte of a blob’s metadata or of the header is changed', async () => {
    const bytes = await written('tiny');
    const { start } = await new Promise<{ start: number; size: number }>((resolve, reject) => {
      edited(bytes, 'weights/weight.bin', (weights) => {
        resolve(largestBlob(weights));
        return weights;
      }).catch(reject);
    });
    for (const base of [0, start - 64]) {
      for (let at = base; at < base + 64; at++) {
        const { certificate, goldens } = await certified(
          'tiny',
          await edited(bytes, 'weights/weight.bin', (weights) => flipped(weights, at, 1)),
        );
        expect(certificate.failures, `byte ${at}`).toHaveLength(1);
        expect(certificate.failures[0]).toMatch(/weight file is broken|constant “.*” is broken/);
        expect([certificate.passed, certificate.images, goldens.length]).toEqual([false, 0, 0]);
      }
    }
  });

  it('fails with a byte of the zip changed, cut short, or empty', async () => {
    const bytes = await written('tiny');
    const zip = 'The Core ML package can’t be read: it is no zip file, or a broken one: ';
    for (const [broken, why] of [
      [
        flipped(bytes, Math.floor(bytes.length / 2), 4),
        `“${packageFolder}/weights/weight.bin” is not what it was when it was packed.`,
      ],
      [bytes.slice(0, -40), 'it does not end as one does.'],
      [new Uint8Array(), 'it does not end as one does.'],
    ] as const) {
      const { certificate } = await certified('tiny', broken);
      expect(certificate.failures).toEqual([zip + why]);
      expect(certificate.imageSize).toBe(size);
    }
  });

  it('fails with a manifest of another form, and with lists in a list', async () => {
    const bytes = await written('tiny');
    const zip = await JSZip.loadAsync(bytes);
    for (const manifest of [
      'null',
      '{"fileFormatVersion":"1.0.0","rootModelIdentifier":"A","itemInfoEntries":{"A":null}}',
    ]) {
      zip.file('PacerIDClassifier.mlpackage/Manifest.json', manifest);
      const { certificate } = await certified('tiny', await zip.generateAsync({ type: 'uint8array' }));
      expect(certificate.failures).toEqual([
        'The Core ML package can’t be read: its manifest is not what the format says.',
      ]);
    }
    const listOf = (...values: Value[]) =>
      create(ValueSchema, {
        value: { case: 'immediateValue', value: { value: { case: 'list', value: { values } } } },
      });
    const nested = await editedModel(bytes, (model) => {
      // As deep as one likes would be too deep for whoever calls himself for each.
      for (const { type, attributes } of operationsOf(model))
        if (type === 'const') attributes['val'] = listOf(listOf(listOf()));
    });
    expect((await certified('tiny', nested)).certificate.failures).toEqual([
      expect.stringMatching(/^In the package, the constant “.*” is broken: a list of lists\.$/),
    ]);
  });

  it('names an operation that is not known, and one whose declared shape is wrong', async () => {
    const bytes = await written('tiny');
    const strange = await editedModel(bytes, (model) => {
      operationsOf(model).find(({ type }) => type === 'relu')!.type = 'gelu';
    });
    expect((await certified('tiny', strange)).certificate.failures).toEqual([
      expect.stringMatching(/^In the package, the operation “.+” \(gelu\) can’t be read: it is not known here\.$/),
    ]);
    const misdeclared = await editedModel(bytes, (model) => {
      const { type } = operationsOf(model).find((operation) => operation.type === 'relu')!.outputs[0]!;
      const side = type!.type.case === 'tensorType' && type!.type.value.dimensions[3]!.dimension;
      if (side && side.case === 'constant') side.value.size++;
    });
    expect((await certified('tiny', misdeclared)).certificate.failures).toEqual([
      expect.stringMatching(/\(relu\) can’t be read: it gives \[1, .*\] and is declared \[1, /),
    ]);
  });
});

describe('a certificate', () => {
  it('does not pass without images, with fewer classes, or with another size of image', async () => {
    const bytes = await written('tiny');
    const none = await certified('tiny', bytes, { images: [] });
    expect(none.certificate.failures).toEqual(['There is no image on which file and model were compared.']);
    const fewer = await certified('tiny', bytes, { labels: [...labels, 'SOR - New'] });
    expect(fewer.certificate.failures).toEqual([
      'The file has other classes than the model, 4 instead of 5: 1 of the model’s are missing (“SOR - New”).',
    ]);
    const other = await certified('tiny', bytes, { imageSize: 32 });
    expect(other.certificate.failures).toEqual([
      'The file takes images of 64 × 64 pixels, the model those of 32 × 32.',
    ]);
  });

  it('wants probabilities that add up to 1, also where each could be one', async () => {
    const model = await readMlpackage(await written('tiny'));
    const [image] = images.tiny as [CertificateImage];
    const answer = (factor: number) => [
      { image, exported: image.trained.map((p) => p * factor), makers: null, notFinite: null },
    ];
    const lax = { maxDifference: 1, maxFlips: 0 };
    expect(failuresOf(model, answer(0.99995), labels, lax)).toEqual([]);
    expect(failuresOf(model, answer(0.9998), labels, lax)).toEqual([
      expect.stringMatching(
        /^On 1 of 1 image what the file gives are no probabilities: they add up to 0\.9998 on image 1 \(/,
      ),
    ]);
    expect(failuresOf(model, [{ ...answer(1)[0]!, notFinite: 'conv_3' }], labels, lax)).toEqual([
      `On 1 of 1 image the file’s arithmetic leaves the range of float32 numbers, first in the operation “conv_3” on image 1 (“${labels[image.label]!}”).`,
    ]);
  });

  it('allows as many flips as the thresholds do, and counts them', async () => {
    const turned = images.tiny.map((image) => ({ ...image, trained: image.trained.toReversed() }));
    const bytes = await written('tiny');
    const strict = await certified('tiny', bytes, { images: turned, thresholds: { maxDifference: 1, maxFlips: 3 } });
    expect(strict.certificate.flips).toBe(4);
    expect(strict.certificate.failures).toEqual([
      expect.stringMatching(/^On 4 of 4 images another class is the most probable one, 3 allowed/),
    ]);
    const lax = await certified('tiny', bytes, { images: turned, thresholds: { maxDifference: 1, maxFlips: 4 } });
    expect(lax.certificate.passed).toBe(true);
  });

  it('says how near to a tie a flip was, and two numbers with the digits that tell them apart', async () => {
    const model = await readMlpackage(await written('tiny'));
    const [image] = images.tiny as [CertificateImage];
    const failures = (trained: readonly number[], exported: readonly number[], maxDifference: number) =>
      failuresOf(
        model,
        [
          {
            image: { ...image, label: 2, trained: Float32Array.from(trained) },
            exported: Float32Array.from(exported),
            makers: null,
            notFinite: null,
          },
        ],
        labels,
        { maxDifference, maxFlips: 0 },
      );
    expect(failures([0.4127, 0.4119, 0.1, 0.0754], [0.4118, 0.4128, 0.1, 0.0754], 0.01)).toEqual([
      `On 1 of 1 image another class is the most probable one, 0 allowed: on image 1 (“${labels[2]!}”) the file says “${labels[1]!}” where the trained model says “${labels[0]!}” (0.4127 there, the file’s choice 0.4119). The file is right on 0, the trained model on 0.`,
    ]);
    expect(failures([0.41231, 0.3, 0.2, 0.08769], [0.41236, 0.29995, 0.2, 0.08769], 1e-5)).toEqual([
      expect.stringContaining(`the file gives “${labels[0]!}” 0.41236 where the trained model gives 0.41231.`),
    ]);
  });

  const makers = ['MDT', 'BOS', 'STJ'];
  const withMakers = async (...names: readonly string[]) =>
    editedModel(await written('tiny', { makerOutput: true }), (model) => {
      model.description!.metadata!.userDefined['pacerid.makers'] = JSON.stringify(names);
    });
  it.each<[string, readonly string[], string[]]>([
    ['as they are', makers, []],
    [
      'in another order, which their numbers are not in',
      ['BOS', 'MDT', 'STJ'],
      [
        'The file’s makers stand in another order: 2 of 3 are elsewhere; number 1 is “BOS” there and “MDT” in the model.',
        'On 4 of 4 images the makers’ probabilities are not those of their models',
      ],
    ],
    [
      'of another name',
      ['MDT', 'BOS', 'SJM'],
      [
        'The file has other makers than the model, 3 instead of 3: 1 of the model’s are missing (“STJ”); 1 are not the model’s (“SJM”).',
      ],
    ],
    ['of one name', ['MDT', 'BOS', 'BOS'], ['The file calls two makers “BOS”.']],
  ])('looks at the makers: %s', async (_, names, sentences) => {
    const { failures } = (await certified('tiny', await withMakers(...names), { makers })).certificate;
    for (const [i, sentence] of sentences.entries()) expect(failures[i]).toContain(sentence);
    // Of two makers of one name the second is no sum of the first's models, either.
    expect(failures.length).toBe(names[1] === names[2] ? 2 : sentences.length);
  });

  it('looks at the makers: each is the sum of its models', async () => {
    // What is added up is no probabilities yet.
    const wrong = await editedModel(await written('tiny', { makerOutput: true }), (model) => {
      const sums = operationsOf(model).findLast(({ type }) => type === 'linear')!;
      const logits = operationsOf(model).find(({ type }) => type === 'softmax')!.inputs['x']!;
      sums.inputs['x'] = logits;
    });
    expect((await certified('tiny', wrong, { makers })).certificate.failures).toEqual([
      expect.stringMatching(/^On 4 of 4 images the makers’ probabilities are not those of their models/),
    ]);
  });

  it.each(Object.keys(readers) as CertifiedFormat[])(
    'misses makers in a file of %s, and refuses them unasked',
    async (format) => {
      const [image] = images.tiny as [CertificateImage];
      const failures = async (makerOutput: boolean, asked: readonly string[] | null) => {
        const { bytes } = await exportFormats[format].write(inputFor('tiny', { makerOutput }));
        return (await certified('tiny', bytes, { format, images: [image], makers: asked })).certificate.failures;
      };
      expect(await failures(true, makers)).toEqual([]);
      expect(await failures(false, null)).toEqual([]);
      expect(await failures(false, makers)).toEqual([
        'The file lacks the makers’ probabilities, which it was to give beside those of the classes: 3 (“MDT”, “BOS”, “STJ”).',
      ]);
      expect(await failures(true, null)).toEqual([
        'The file gives makers’ probabilities, which nobody asked for: 3 (“MDT”, “BOS”, “STJ”).',
      ]);
    },
  );

  it('tells how far it is, and is given up with the reason of the signal', async () => {
    const bytes = await written('tiny');
    const told: CertifyProgress[] = [];
    await certified('tiny', bytes, { onProgress: (progress) => told.push(progress) });
    expect(told[0]).toEqual({ image: 1, of: 4, share: 0, secondsLeft: null });
    expect(told.at(-1)).toEqual({ image: 4, of: 4, share: 1, secondsLeft: 0 });
    const controller = new AbortController();
    const reason = new Error('enough');
    const given = certified('tiny', bytes, {
      signal: controller.signal,
      onProgress: ({ image }) => {
        if (image === 2) controller.abort(reason);
      },
    });
    await expect(given).rejects.toBe(reason);
  });

  it.each(Object.keys(readers) as CertifiedFormat[])('is given up while a file of %s is read, too', async (format) => {
    const { bytes } = await exportFormats[format].write(inputFor('tiny'));
    let turns = 0;
    await readers[format](bytes, () => Promise.resolve(void turns++));
    // After each of the weights of seven layers, at least.
    expect(turns).toBeGreaterThanOrEqual(7);
    const reason = new Error('enough');
    await expect(readers[format](bytes, () => Promise.reject(reason))).rejects.toBe(reason);
  });

  it('lets others have their turn no more often than they need it, and hears at once that nobody waits', async () => {
    const controller = new AbortController();
    let turns = 0;
    const pause = pauses(() => Promise.resolve(void turns++), controller.signal);
    for (let i = 0; i < 100; i++) await pause();
    expect(turns).toBeLessThan(50);
    const before = turns;
    await new Promise((resolve) => setTimeout(resolve, 40));
    await pause();
    expect(turns).toBe(before + 1);
    controller.abort(new Error('enough'));
    await new Promise((resolve) => setTimeout(resolve, 40));
    await expect(pause()).rejects.toThrow('enough');
  });

  it('has each image read when its turn comes', async () => {
    const happened: string[] = [];
    const watched = images.tiny.map((image, i) => ({
      ...image,
      pixels: () => {
        happened.push(`reads ${i + 1}`);
        return image.pixels();
      },
    }));
    await certified('tiny', await written('tiny'), {
      images: watched,
      onProgress: ({ image, share }) => {
        if (share === image / 4) happened.push(`has ${image}`);
      },
    });
    expect(happened.filter((what, i) => what !== happened[i - 1])).toEqual(
      [1, 2, 3, 4].flatMap((i) => [`reads ${i}`, `has ${i}`]),
    );
  });
});

describe('what is not the file’s fault', () => {
  const failing = async (error: unknown) => {
    const given = certified('tiny', await written('tiny'), {
      images: images.tiny.map((image) => ({ ...image, pixels: () => Promise.reject(error as Error) })),
    });
    return given.then(
      () => expect.unreachable(),
      (reason: unknown) => reason,
    );
  };

  it('is no failure of the file: the comparison could not be carried out, and why', async () => {
    const cause = new RangeError('Array buffer allocation failed');
    const error = await failing(cause);
    expect(error).toBeInstanceOf(ComparisonBrokenOffError);
    expect(error).toMatchObject({
      name: 'ComparisonBrokenOffError',
      message: expect.stringMatching(
        /^The comparison could not be carried out.*: Array buffer allocation failed$/,
      ) as string,
      cause,
      kept: expect.stringMatching(/./) as string,
      remedy: expect.stringMatching(/./) as string,
    });
  });

  it('keeps its own name where it has one', async () => {
    const error = new UserError('The image is gone.', { kept: 'All else.', remedy: 'Drop it again.' });
    expect(await failing(error)).toBe(error);
  });
});
