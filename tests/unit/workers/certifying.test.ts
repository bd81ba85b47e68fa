import { createHash } from 'node:crypto';
import JSZip from 'jszip';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset, ImageEntry } from '../../../src/dataset/types.ts';
import type { ModelEvent, WrittenFile } from '../../../src/workers/protocol.ts';
import { chosenImages } from '../../../src/workers/certificateImages.ts';
import { computer, config } from './computer.ts';

const { datasets, trainer, model, told, importSample } = computer();

let dataset: Dataset;
let runId: string;
let written: WrittenFile;
beforeAll(async () => {
  dataset = await importSample();
  ({ runId } = await trainer.start({ config, datasetId: dataset.id, weightsId: null }));
  written = await model.exportModel({ runId, format: 'mlpackage' });
});

const certify = (change: Partial<Parameters<typeof model.certify>[0]> = {}) =>
  Promise.resolve(
    model.certify({
      runId,
      format: 'mlpackage',
      file: written,
      output: config.output,
      howMany: 'as set',
      ...change,
    }),
  );
/** The same file with one byte replaced. */
const changed = async (at: (bytes: Uint8Array) => number): Promise<WrittenFile> => {
  const bytes = new Uint8Array(await written.blob.arrayBuffer());
  const where = at(bytes);
  bytes[where] = (bytes[where] as number) ^ 0x40;
  return { ...written, blob: new Blob([bytes]) };
};

describe('the certificate of a file that a run exported', () => {
  it('passes on Test images, is about the very bytes, and says how many more could be looked at', async () => {
    const events: ModelEvent[] = [];
    const listen = (event: ModelEvent): void => void events.push(event);
    told.add(listen);
    const { certificate, secondsEach, further } = await certify();
    told.delete(listen);
    const bytes = new Uint8Array(await written.blob.arrayBuffer());
    expect(certificate).toMatchObject({
      passed: true,
      failures: [],
      sha256: createHash('sha256').update(bytes).digest('hex'),
      bytes: bytes.length,
      images: 12,
      flips: 0,
      imagesFrom: { split: 'test', dataset: dataset.name, hash: dataset.hash },
      thresholds: { maxDifference: 1e-5, maxFlips: 0 },
      precision: 'float32',
    });
    expect(certificate.maxDifference).toBeLessThan(1e-5);
    expect(certificate.perClass.map(({ label, images }) => [label, images])).toEqual(
      dataset.classes.map((label) => [label, 2]),
    );
    expect(secondsEach).toBeGreaterThan(0);
    // Test has two images a class: there are no more.
    expect(further).toEqual([]);
    const told12 = events.filter(({ what }) => what === 'certifying');
    expect(new Set(told12.map(({ total }) => total))).toEqual(new Set([12]));
    expect(told12.at(-1)).toMatchObject({ done: 12, share: 1 });
  });

  it('what the trained network gets right is what Evaluate says of the same images', async () => {
    const { certificate } = await certify();
    const report = await model.evaluate({ runId, split: 'test' });
    expect(certificate.right.trained).toBe(Math.round(report.accuracy * report.n));
    expect(certificate.right.exported).toBe(certificate.right.trained);
  });

  it('looks at fewer where the settings say so, one a class before a second of any, and then offers the rest', async () => {
    const settings = { ...config.output.certificate, max_images: 8 };
    const { certificate, further } = await certify({ output: { ...config.output, certificate: settings } });
    expect(certificate.images).toBe(8);
    expect(certificate.perClass.map(({ images }) => images).sort()).toEqual([1, 1, 1, 1, 2, 2]);
    expect(further).toEqual([{ howMany: 10, images: 12 }]);
    const { certificate: all } = await certify({ howMany: 'all' });
    expect(all.images).toBe(12);
  });

  it('fails where the thresholds are stricter than the file: a result, not an error', async () => {
    const max_difference = { float32: 1e-9, float16: 1e-9, eight_bit: 1e-9 };
    const output = { ...config.output, certificate: { ...config.output.certificate, max_difference } };
    const { certificate } = await certify({ output });
    expect(certificate.passed).toBe(false);
    expect(certificate.failures.join(' ')).not.toBe('');
  });

  it('the threshold is that of the form in which the file was written, whatever the file says of itself', async () => {
    const asWritten = async (change: Partial<WrittenFile>) =>
      (await certify({ file: { ...written, ...change } })).certificate.thresholds.maxDifference;
    expect(await asWritten({ precision: 'float16' })).toBe(5e-3);
    expect(await asWritten({ precision: 'float16', weights: 'linear' })).toBe(0.05);
    expect(await asWritten({ weights: 'palettized' })).toBe(0.05);
  });

  it('wants the makers that were asked for, and no others', async () => {
    const output = { ...config.output, maker_output: true };
    const asked = await model.exportModel({ runId, format: 'mlpackage', output });
    expect((await certify({ file: asked, output, howMany: 1 })).certificate.failures).toEqual([]);
    expect((await certify({ file: written, output, howMany: 1 })).certificate.failures).toEqual([
      expect.stringMatching(/^The file lacks the makers’ probabilities/),
    ]);
    expect((await certify({ file: asked, howMany: 1 })).certificate.failures).toEqual([
      expect.stringMatching(/^The file gives makers’ probabilities, which nobody asked for/),
    ]);
  });

  it('a planted change in the weights fails, and one in the zip’s frame, too', async () => {
    // The largest entry of the stored zip is the weights.
    const weights = await changed((bytes) => Math.floor(bytes.length / 2) | 3);
    expect((await certify({ file: weights })).certificate.passed).toBe(false);
    const frame = await changed((bytes) => bytes.length - 10);
    expect((await certify({ file: frame })).certificate.passed).toBe(false);
  });

  it('can be cancelled at once while the interpreter runs, before its first image is through', async () => {
    const seen: ModelEvent[] = [];
    const listen = (event: ModelEvent): void => {
      if (event.what === 'certifying' && seen.push(event) === 1) void model.cancel({ workId: 1 });
    };
    told.add(listen);
    await expect(certify({ howMany: 'all', workId: 1 })).rejects.toMatchObject({ name: 'CertificateCancelledError' });
    told.delete(listen);
    expect(seen.at(-1)?.done).toBe(1);
    // The next one isn't.
    expect((await certify()).certificate.passed).toBe(true);
  });

  it('is cancelled before it begins, too: while another command has the engine', async () => {
    const order: string[] = [];
    const evaluating = Promise.resolve(model.evaluate({ runId, split: 'test' })).then(() => order.push('evaluated'));
    const waiting = certify({ workId: 1 }).catch((error: unknown) => {
      order.push('cancelled');
      throw error;
    });
    await model.cancel({ workId: 1 });
    await expect(waiting).rejects.toMatchObject({ name: 'CertificateCancelledError' });
    await evaluating;
    // Not once its turn has come.
    expect(order).toEqual(['cancelled', 'evaluated']);
  });

  it('of two at a time the one that was meant is cancelled, and each tells of itself', async () => {
    const seen = new Set<number | undefined>();
    const listen = (event: ModelEvent): void => {
      if (event.what !== 'certifying') return;
      seen.add(event.workId);
      if (event.workId === 2) void model.cancel({ workId: 2 });
    };
    told.add(listen);
    const [first, second, third] = await Promise.allSettled([
      certify({ workId: 1 }),
      certify({ workId: 2 }),
      model.createVersion({ runId, version: 'v0.9.0', notes: '', output: config.output, workId: 3 }),
    ]);
    told.delete(listen);
    expect(seen).toEqual(new Set([1, 2, 3]));
    expect([first.status, second.status, third.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((await model.versions({ runId: null })).versions.map(({ version }) => version)).toEqual(['v0.9.0']);
  });

  it('a name that nothing bears any more cancels nothing', async () => {
    await certify({ workId: 1 });
    await model.cancel({ workId: 1 });
    expect((await certify({ workId: 1 })).certificate.passed).toBe(true);
  });

  it('a file is not written, nor a bundle, nor a version, where that is cancelled right after it was asked for', async () => {
    const { output } = config;
    const evaluating = model.evaluate({ runId, split: 'test' });
    for (const asked of [
      () => model.exportModel({ runId, format: 'onnx', output, workId: 7 }),
      () => model.exportBundle({ runId, output, howMany: 1, workId: 7 }),
      () => model.createVersion({ runId, version: 'v1.0.0', notes: '', output, workId: 7 }),
    ]) {
      const made = Promise.resolve(asked());
      await model.cancel({ workId: 7 });
      await expect(made).rejects.toMatchObject({ name: 'WritingCancelledError' });
    }
    await evaluating;
    expect((await model.versions({ runId: null })).versions.map(({ version }) => version)).not.toContain('v1.0.0');
  });

  it('a bundle and a version are cancelled in mid-comparison, too; a version not once it is being kept', async () => {
    const { output } = config;
    const cancelAt = (what: string): (() => void) => {
      const listen = (event: ModelEvent): void => {
        if (event.what === what && event.workId === 8) void model.cancel({ workId: 8 });
      };
      told.add(listen);
      return () => told.delete(listen);
    };
    const version = (number: string) =>
      Promise.resolve(model.createVersion({ runId, version: number, notes: '', output, workId: 8 }));
    const quiet = cancelAt('certifying');
    const cancelled = { name: 'WritingCancelledError' };
    await expect(model.exportBundle({ runId, output, howMany: 1, workId: 8 })).rejects.toMatchObject(cancelled);
    await expect(version('v1.0.0')).rejects.toMatchObject(cancelled);
    quiet();
    const quietToo = cancelAt('keeping');
    await version('v1.0.1');
    quietToo();
    const { versions } = await model.versions({ runId: null });
    expect(versions.map((one) => one.version)).toEqual(['v1.0.1', 'v0.9.0']);
  });

  it('a bundle carries the certificate of the package in it, and its images', async () => {
    const { blob, check, fileName } = await model.exportBundle({ runId, output: config.output, howMany: 1 });
    const { files } = await JSZip.loadAsync(await blob.arrayBuffer());
    expect(fileName).toBe('M-bundle.zip');
    expect(check.certificate).toMatchObject({ passed: true, images: 6, sha256: written.sha256 });
    const inside: unknown = JSON.parse((await files['certificate.json']?.async('text')) ?? 'null');
    expect(inside).toEqual(check.certificate);
    expect(Object.keys(files)).toContain('M.mlpackage/Manifest.json');
    expect(Object.keys(files).filter((path) => path.endsWith('.png'))).toHaveLength(6);
  });

  it('a bundle holds the images that the settings ask for, however many were compared', async () => {
    const output = { ...config.output, certificate: { ...config.output.certificate, max_images: 8 } };
    const { blob, check } = await model.exportBundle({ runId, output, howMany: 'all' });
    const { files } = await JSZip.loadAsync(await blob.arrayBuffer());
    expect(check.certificate).toMatchObject({ passed: true, images: 12 });
    expect(Object.keys(files).filter((path) => path.endsWith('.png'))).toHaveLength(8);
  });

  it('without the data set there is none, and the reason has a name; with it again, under another id, there is', async () => {
    await datasets.delete(dataset.id);
    await expect(certify()).rejects.toMatchObject({
      name: 'CertificateImagesMissingError',
      message: expect.stringContaining(dataset.name) as string,
      kept: expect.stringMatching(/./) as string,
      remedy: expect.stringContaining('Drop the same data set') as string,
    });
    const { check } = await model.exportBundle({ runId, output: config.output, howMany: 1 });
    expect(check).toMatchObject({ certificate: null, error: { name: 'CertificateImagesMissingError' } });
    dataset = await importSample();
    expect((await certify()).certificate.passed).toBe(true);
  });
});

describe('the images of a certificate', () => {
  const entry = (path: string, label: number, hash: string): ImageEntry => ({
    ...({} as ImageEntry),
    path,
    label,
    hash,
  });
  const images = [
    entry('b/1', 1, '50'),
    entry('a/1', 0, '40'),
    entry('c/1', 2, '10'),
    entry('a/2', 0, '20'),
    entry('a/copy', 0, '20'),
    entry('b/2', 1, '30'),
    entry('a/3', 0, '60'),
  ];
  const settings = { images_per_class: 2, max_images: 32 };
  const paths = (list: readonly ImageEntry[], howMany: number | 'as set' | 'all', max_images = 32) =>
    chosenImages({ images: list }, [...list.keys()], howMany, { ...settings, max_images }).map(
      (index) => list[index]?.path,
    );

  it('are those with the smallest hashes of each class, by class, and a copy is none', () => {
    expect(paths(images, 'as set')).toEqual(['a/2', 'a/1', 'b/2', 'b/1', 'c/1']);
    expect(paths(images, 1)).toEqual(['a/2', 'b/2', 'c/1']);
    expect(paths(images, 10)).toEqual(['a/2', 'a/1', 'a/3', 'b/2', 'b/1', 'c/1']);
    expect(paths(images, 'all')).toEqual(['a/2', 'a/copy', 'a/1', 'a/3', 'b/2', 'b/1', 'c/1']);
  });

  it('are the same in whatever order the data set was read', () => {
    const turned = images.toReversed();
    for (const howMany of ['as set', 1, 10, 'all'] as const)
      expect(paths(turned, howMany)).toEqual(paths(images, howMany));
  });

  it('too few for one a class: which classes go without is a matter of content', () => {
    expect(paths(images, 'as set', 2)).toEqual(['a/2', 'c/1']);
    expect(paths(images, 'as set', 4)).toEqual(['a/2', 'a/1', 'b/2', 'c/1']);
  });
});
