import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../../src/config/schema.ts';
import { checkedDecoder } from '../../../src/dataset/decoding.ts';
import { imageSource } from '../../../src/dataset/imageSource.ts';
import { importSample } from '../../../src/dataset/import.ts';
import type { Dataset } from '../../../src/dataset/types.ts';
import { nodeFolder } from '../../../src/platform/node/folder.ts';
import { imageDecoder } from '../../../src/platform/node/imageDecoder.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { foldRun } from '../../../src/training/runState.ts';
import type { WeightCache, WeightRecord } from '../../../src/weights/types.ts';
import { readSafetensors } from '../../../src/weights/safetensors.ts';
import { firstWeights, membersIn, weightsCommands } from '../../../src/workers/firstWeights.ts';
import { modelCommands } from '../../../src/workers/modelCommands.ts';
import type { TrainerEvent } from '../../../src/workers/protocol.ts';
import { versionCommands } from '../../../src/workers/versionCommands.ts';
import { trainerCommands } from '../../../src/workers/trainerCommands.ts';
import { openInNode } from '../support/openInNode.ts';
import { config as small } from '../training/smallRun.ts';

const datasets = memoryDatasetStore();
const runs = memoryRunStore();
const decoder = checkedDecoder(imageDecoder());
const kept = new Map<string, { record: WeightRecord; bytes: Uint8Array<ArrayBuffer> }>();
const cache: WeightCache = {
  list: () => Promise.resolve([...kept.values()].map(({ record }) => record)),
  get: (key) => Promise.resolve(kept.get(key)),
  set: (record, bytes) => Promise.resolve(void kept.set(record.key, { record, bytes })),
  delete: (key) => Promise.resolve(void kept.delete(key)),
};
const config: Config = {
  ...small,
  data: {
    ...small.data,
    batch_size: 8,
    sample: { seed: 3, classes: 6, train_per_class: 6, test_per_class: 2, size: 64 },
  },
  training: { ...small.training, epochs: 2, learning_rate: 0.003 },
};

const seen: TrainerEvent[] = [];
let elsewhere = false;
let ids = 0;
const trainer = trainerCommands(
  {
    datasets,
    runs,
    sourceOf: (dataset) => imageSource(datasets, dataset, { cacheBytes: 2 ** 24 }),
    openEngine: openInNode,
    probe: () => Promise.reject(new Error('not asked for')),
    firstWeights: (wanted, progress) =>
      firstWeights(
        wanted,
        { cache, base: null, fetch: () => Promise.reject(new Error('offline')), now: () => 0 },
        progress,
      ),
    membersOf: (weightsId) => membersIn(weightsId, cache),
    exclusively: async (work) => (elsewhere ? { held: false } : { held: true, value: await work(true) }),
    isTraining: () => Promise.resolve(elsewhere),
    randomBytes: (n) => new Uint8Array(n).fill((ids += 1)),
  },
  (event) => seen.push(event),
);
const model = modelCommands(
  {
    datasets,
    runs,
    decoder,
    sourceOf: (dataset) => imageSource(datasets, dataset, { cacheBytes: 2 ** 24 }),
    openEngine: openInNode,
    ...weightsCommands(cache),
    ...versionCommands({
      models: nodeFolder(mkdtempSync(join(tmpdir(), 'versions-'))),
      runs,
      importWeights: weightsCommands(cache).importWeights,
      pickedFolder: () => {
        throw new Error('no page');
      },
      now: () => 0,
    }),
  },
  () => undefined,
);

let dataset: Dataset;
let runId: string;
beforeAll(async () => {
  dataset = await importSample(config.data.sample, {
    store: datasets,
    decoder,
    imgSize: 32,
    decoders: 1,
    signal: new AbortController().signal,
  });
  ({ runId } = await trainer.start({ config, datasetId: dataset.id, weightsId: null }));
});

describe('from a data set to a model, by the workers’ commands', () => {
  it('the run is listed as completed, with its log', async () => {
    expect(await trainer.runs(null)).toMatchObject([{ id: runId, state: 'completed', latestEpoch: 2 }]);
    expect(foldRun(await trainer.events({ runId }))).toMatchObject({ status: 'finished', runId });
  });

  it('the model worker sees what the trainer saw: the same probabilities for the Test split', async () => {
    const report = foldRun(await trainer.events({ runId })).test!.report;
    const again = await model.evaluate({ runId, split: 'test' });
    expect(again.indices).toEqual(report.indices);
    expect(again.probabilities).toEqual(report.probabilities);
    expect(again.accuracy).toBe(report.accuracy);
  });

  it('a run that was cut off before its Test is judged later, once, and its exports say how good it is', async () => {
    const record = (await runs.read(runId))!;
    const checkpoint = (await runs.readCheckpoint(runId, 'best'))!;
    const cut = { ...record, id: 'cut', latestEpoch: record.bestEpoch };
    await runs.writeCheckpoint(cut, record.bestEpoch!, checkpoint);
    const log = await trainer.events({ runId });
    await runs.appendEvents(
      'cut',
      log.filter(({ type }) => type !== 'testEvaluated' && type !== 'finished'),
    );
    const report = await model.evaluate({ runId: 'cut', split: 'test' });
    await model.evaluate({ runId: 'cut', split: 'test' });
    const { blob } = await model.exportModel({ runId: 'cut', format: 'safetensors', precision: 'float32' });
    const stored = await runs.events('cut');
    expect(stored.filter(({ type }) => type === 'testEvaluated')).toHaveLength(1);
    const { metadata } = readSafetensors(new Uint8Array(await blob.arrayBuffer()));
    expect(metadata['test_images']).toBe(String(report.n));
    await trainer.deleteRun({ runId: 'cut' });
  });

  it('a prediction is a whole distribution, most probable first, over the pixels that it shows', async () => {
    const index = dataset.images.findIndex(({ given }) => given === 'test');
    const image = dataset.images[index]!;
    const originals = await datasets.readOriginals(dataset.id, image.shard);
    const bytes = originals.slice(image.originalOffset, image.originalOffset + image.fileBytes);
    const { classes, seen: pixels } = await model.predict({
      runId,
      file: new Blob([bytes as Uint8Array<ArrayBuffer>]),
    });
    expect(classes.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5);
    const sorted = classes.map(({ probability }) => probability);
    expect(sorted).toEqual([...sorted].sort((a, b) => b - a));
    expect([pixels.width, pixels.height, pixels.data.length]).toEqual([32, 32, 32 * 32 * 3]);
  });

  it('exports the best epoch’s weights, which can start another run with the same head', async () => {
    const { blob, fileName } = await model.exportModel({ runId, format: 'safetensors', precision: 'float32' });
    const file = readSafetensors(new Uint8Array(await blob.arrayBuffer()));
    expect(JSON.parse(file.metadata['classes']!)).toEqual(dataset.classes);
    const stored = await model.importWeights({ file: blob, name: fileName, architecture: 'tiny' });
    expect(await model.weights(null)).toEqual([stored]);
    const { runId: second } = await trainer.start({ config, datasetId: dataset.id, weightsId: stored.id });
    expect(foldRun(await trainer.events({ runId: second })).weights?.origin).toMatchObject({
      kind: 'file',
      name: fileName,
    });
    await trainer.deleteRun({ runId: second });
  });
});

describe('what cannot be', () => {
  it('training while another tab trains', async () => {
    elsewhere = true;
    const attempt = Promise.resolve(trainer.start({ config, datasetId: dataset.id, weightsId: null }));
    await expect(attempt).rejects.toMatchObject({ name: 'TrainingElsewhereError' });
    elsewhere = false;
  });

  it('a run whose data set was deleted is evaluated no more, by name', async () => {
    const record = (await runs.read(runId))!;
    await runs.write({
      ...record,
      id: 'orphan',
      dataset: { ...record.dataset, id: 'gone', hash: 'gone' },
      state: 'running',
    });
    const attempt = Promise.resolve(trainer.resume({ runId: 'orphan' }));
    await expect(attempt).rejects.toMatchObject({ name: 'DatasetChangedError' });
    expect((await trainer.runs(null)).find(({ id }) => id === 'orphan')?.state).toBe('interrupted');
    await trainer.deleteRun({ runId: 'orphan' });
  });

  it('a model before the first epoch', async () => {
    await expect(Promise.resolve(model.evaluate({ runId: 'none', split: 'test' }))).rejects.toMatchObject({
      name: 'NoCheckpointError',
    });
  });

  it('pretrained weights without a network: named, and nothing is left behind', async () => {
    const wanted = { ...config, model: { ...config.model, pretrained: true } };
    const attempt = Promise.resolve(trainer.start({ config: wanted, datasetId: dataset.id, weightsId: null }));
    await expect(attempt).rejects.toMatchObject({ name: 'WeightsUnavailableError' });
    expect((await trainer.runs(null)).map(({ id }) => id)).toEqual([runId]);
  });
});

describe('an estimate', () => {
  it('times all layers and the head, and says that a frozen backbone is quicker', async () => {
    const options = await trainer.estimate({ config, datasetId: dataset.id, weightsId: null });
    expect(options.map(({ architecture, layers }) => `${architecture}/${layers}`)).toEqual(['tiny/all', 'tiny/head']);
    expect(options.every(({ measured, fits }) => measured && fits)).toBe(true);
    expect(options[1]!.secondsPerStep).toBeLessThan(options[0]!.secondsPerStep);
  });
});
