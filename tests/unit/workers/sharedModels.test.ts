import { createHash } from 'node:crypto';
import JSZip from 'jszip';
import { beforeAll, describe, expect, it } from 'vitest';
import { openArchive } from '../../../src/dataset/archive.ts';
import { drawSample } from '../../../src/dataset/sample/drawSample.ts';
import type { Dataset } from '../../../src/dataset/types.ts';
import { readCheckpoint } from '../../../src/training/checkpoint.ts';
import { foldRun } from '../../../src/training/runState.ts';
import { holdsModel } from '../../../src/workers/holdsModel.ts';
import { builtFiles, computer, config, demoFiles } from './computer.ts';

const here = computer();
const output = { ...config.output, model_name: 'Pacers', version: '2.1.0', author: 'Ada', description: 'Six devices' };
let dataset: Dataset;
let runId: string;
let zip: Blob;
beforeAll(async () => {
  dataset = await here.importSample();
  ({ runId } = await here.trainer.start({ config, datasetId: dataset.id, weightsId: null }));
  ({ blob: zip } = await here.model.exportDemo({ runId, output }));
});

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
/** Read by another library than the one that wrote it. */
async function contents(blob: Blob): Promise<Map<string, Uint8Array>> {
  const { files } = await openArchive(blob, 'demo.zip');
  return new Map(await Promise.all(files.map(async (file) => [file.path, await file.read()] as const)));
}
async function zipOf(files: ReadonlyMap<string, Uint8Array | string>): Promise<Blob> {
  const made = new JSZip();
  for (const [path, content] of files) made.file(path, content);
  return new Blob([await made.generateAsync({ type: 'arraybuffer' })]);
}
type Json = Record<string, unknown>;
/** The zip with another description. */
async function describedAs(change: (description: Json) => unknown): Promise<Blob> {
  const files = await contents(zip);
  const description = JSON.parse(text(files.get('model/model.json'))) as Json;
  return zipOf(
    new Map<string, Uint8Array | string>([...files, ['model/model.json', JSON.stringify(change(description))]]),
  );
}
const open = async (file: Blob) => computer().model.openModel({ file, name: 'x.zip' });

describe('the zip of a demo page', () => {
  it('is the page, a description and the best weights without the optimiser', async () => {
    const files = await contents(zip);
    expect([...files.keys()]).toEqual([
      'assets/index-1.js',
      'index.html',
      'model/model.json',
      'model/weights.safetensors',
    ]);
    for (const path of ['assets/index-1.js', 'index.html']) expect(files.get(path)).toEqual(demoFiles.get(path));
    const weights = files.get('model/weights.safetensors')!;
    const run = foldRun(await here.runs.events(runId));
    const record = (await here.runs.read(runId))!;
    const { report } = run.test!;
    expect(JSON.parse(text(files.get('model/model.json')))).toEqual({
      format: 'pacerid-model',
      schema: 1,
      name: 'Pacers',
      version: '2.1.0',
      architecture: 'tiny',
      batchNormEps: 1e-5,
      labels: dataset.classes,
      imageSize: 32,
      geometry: 'center_crop',
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
      temperature: readCheckpoint((await here.runs.readCheckpoint(runId, 'best'))!).temperature,
      weights: { file: 'weights.safetensors', sha256: hash(weights), bytes: weights.length },
      dataset: { name: dataset.name, synthetic: true },
      test: { n: 12, accuracy: report.accuracy, interval: report.accuracyInterval },
      author: 'Ada',
      description: 'Six devices',
      intendedUse: output.intended_use,
      createdAt: new Date(record.createdAt).toISOString(),
    });
    const checkpoint = readCheckpoint(weights);
    const best = readCheckpoint((await here.runs.readCheckpoint(runId, 'best'))!);
    expect(checkpoint.optimiser.moments.size).toBe(0);
    expect(checkpoint.weights).toEqual(best.weights);
    expect(checkpoint.epoch).toBe(record.bestEpoch);
    expect(checkpoint.config.output).toEqual(output);
  });

  it('is the same, byte for byte, whenever it is written', async () => {
    const again = await here.model.exportDemo({ runId, output });
    expect(again.fileName).toBe('Pacers-demo.zip');
    expect(again.sha256).toBe(hash(new Uint8Array(await zip.arrayBuffer())));
    expect(again.sha256).toBe(hash(new Uint8Array(await again.blob.arrayBuffer())));
  });

  it('is not written of a page that is missing or was changed on the way, or of a run without a model', async () => {
    const without = computer(here.runs, new Map());
    await expect(without.model.exportDemo({ runId, output })).rejects.toMatchObject({
      name: 'DemoPageMissingError',
      message: expect.stringContaining('demo/files.json (the server answers 404)') as string,
      remedy: 'Ask who hosts it.',
    });
    const changed = builtFiles({ 'index.html': 'as it was built' }).set(
      'index.html',
      new TextEncoder().encode('log in'),
    );
    await expect(computer(here.runs, changed).model.exportDemo({ runId, output })).rejects.toMatchObject({
      name: 'DemoPageMissingError',
    });
    await expect(here.model.exportDemo({ runId: 'none', output })).rejects.toMatchObject({ name: 'NoCheckpointError' });
  });
});

describe('opened in somebody else’s page', () => {
  it('is a run that answers as at home, whatever folder it lies in', async () => {
    const [{ png } = { png: new Uint8Array() }] = drawSample({ ...config.data.sample, seed: 9 });
    const file = new Blob([new Uint8Array(png)]);
    const home = await here.model.predict({ runId, file });
    for (const folder of ['', 'Pacers-demo/', 'a/b/']) {
      const there = computer();
      const files = [...(await contents(zip))].map(([path, bytes]) => [folder + path, bytes] as const);
      const summary = await there.model.openModel({ file: await zipOf(new Map(files)), name: 'Pacers-demo.zip' });
      expect(summary).toMatchObject({ id: runId, bestEpoch: (await here.runs.read(runId))?.bestEpoch });
      const answer = await there.model.predict({ runId: summary.id, file });
      expect(answer.classes).toEqual(home.classes);
      // And goes on from there unchanged.
      const next = await contents((await there.model.exportDemo({ runId: summary.id, output })).blob);
      expect(next.get('model/weights.safetensors')).toEqual((await contents(zip)).get('model/weights.safetensors'));
    }
  });

  it('twice is once', async () => {
    const there = computer();
    const first = await there.model.openModel({ file: zip, name: 'a.zip' });
    expect(await there.model.openModel({ file: zip, name: 'b.zip' })).toEqual(first);
    expect(await there.trainer.runs(null)).toHaveLength(1);
  });
});

describe('a zip that can’t be opened as a model says why', () => {
  it('no model, or no zip', async () => {
    const images = await zipOf(new Map([['Train/a/1.png', 'x']]));
    await expect(open(images)).rejects.toMatchObject({ name: 'NotAModelError' });
    await expect(open(await describedAs(() => ({ format: 'somebody else’s' })))).rejects.toMatchObject({
      name: 'NotAModelError',
    });
    await expect(open(new Blob(['no zip']))).rejects.toMatchObject({ name: 'NotAZipError' });
  });

  it('of another version', async () => {
    await expect(open(await describedAs((one) => ({ ...one, schema: 2 })))).rejects.toMatchObject({
      name: 'ModelVersionError',
      message: expect.stringMatching(/“x.zip”.*another version.*schema 2.*reads 1/) as string,
      remedy: expect.stringContaining('Open it with the version that made it') as string,
    });
    await expect(open(await describedAs((one) => ({ ...one, architecture: 'vit_b_16' })))).rejects.toMatchObject({
      name: 'ModelVersionError',
      message: expect.stringContaining('vit_b_16') as string,
    });
  });

  it('described wrongly: where', async () => {
    await expect(open(await describedAs((one) => ({ ...one, imageSize: 'large' })))).rejects.toMatchObject({
      name: 'ModelUnreadableError',
      message: expect.stringContaining('imageSize') as string,
    });
    await expect(open(await describedAs((one) => ({ ...one, labels: ['a', 'b', 'a'] })))).rejects.toMatchObject({
      name: 'ModelUnreadableError',
      message: expect.stringContaining('labels: two classes have one name') as string,
    });
    const outside = { file: '../secret', sha256: '0'.repeat(64), bytes: 1 };
    await expect(open(await describedAs((one) => ({ ...one, weights: outside })))).rejects.toMatchObject({
      name: 'ModelUnreadableError',
      message: expect.stringContaining('weights.file') as string,
    });
  });

  it('without its weights, or with others', async () => {
    const files = new Map(await contents(zip));
    const weights = files.get('model/weights.safetensors')!;
    files.delete('model/weights.safetensors');
    await expect(open(await zipOf(files))).rejects.toMatchObject({ name: 'ModelWeightsMissingError' });
    const other = weights.slice();
    other[other.length - 2]! ^= 1;
    await expect(open(await zipOf(files.set('model/weights.safetensors', other)))).rejects.toMatchObject({
      name: 'ModelDamagedError',
      message: expect.stringContaining(hash(other)) as string,
    });
    const short = weights.slice(0, 1000);
    await expect(open(await zipOf(files.set('model/weights.safetensors', short)))).rejects.toMatchObject({
      name: 'ModelDamagedError',
      message: expect.stringContaining(`1000 bytes, where there should be ${weights.length}`) as string,
    });
  });
});

describe('a dropped zip', () => {
  it('is known for a model by its description, of this version or another', async () => {
    expect(await holdsModel({ file: zip })).toBe(true);
    expect(await holdsModel({ file: await describedAs((one) => ({ ...one, schema: 2 })) })).toBe(true);
  });

  it('is none where it holds images, versions, somebody else’s model.json, or is no zip', async () => {
    await here.model.createVersion({ runId, version: 'v1.0.0', notes: '', output });
    const versions = await here.model.versionsZip({ version: 'v1.0.0', iosDir: 'ios' });
    for (const file of [
      await zipOf(new Map([['Train/model/1.png', 'x']])),
      await zipOf(new Map([['model/model.json', '{"modelTopology": {}}']])),
      await zipOf(new Map([['model/model.json', 'no JSON']])),
      versions.blob,
      new Blob(['no zip']),
    ])
      expect(await holdsModel({ file })).toBe(false);
  });
});
