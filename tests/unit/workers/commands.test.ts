import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../../src/dataset/types.ts';
import { readCheckpoint, writeCheckpoint } from '../../../src/training/checkpoint.ts';
import { foldRun } from '../../../src/training/runState.ts';
import { readSafetensors } from '../../../src/weights/safetensors.ts';
import { computer, config } from './computer.ts';

const { datasets, runs, trainer, model, state, importSample } = computer();

let dataset: Dataset;
let runId: string;
beforeAll(async () => {
  dataset = await importSample();
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
    const { blob } = await model.exportModel({ runId: 'cut', format: 'safetensors' });
    const stored = await runs.events('cut');
    expect(stored.filter(({ type }) => type === 'testEvaluated')).toHaveLength(1);
    const { metadata } = readSafetensors(new Uint8Array(await blob.arrayBuffer()));
    expect(metadata['test_images']).toBe(String(report.n));
    await trainer.deleteRun({ runId: 'cut' });
  });

  it('weights that came after the Test report are exported without it, judged by themselves, and then with their own', async () => {
    const record = (await runs.read(runId))!;
    const best = readCheckpoint((await runs.readCheckpoint(runId, 'best'))!);
    // As a run that was made longer, found a better epoch and was suspended before Test.
    const weights = new Map(best.weights);
    const bias = weights.get('classifier.bias')!;
    weights.set('classifier.bias', { ...bias, data: bias.data.map((_, i) => (i === 0 ? 1000 : 0)) });
    const bytes = writeCheckpoint({ ...best, runId: 'longer', epoch: 3, bestEpoch: 3, weights });
    await runs.writeCheckpoint({ ...record, id: 'longer', latestEpoch: 3, bestEpoch: 3 }, 3, bytes);
    const log = await trainer.events({ runId });
    await runs.appendEvents(
      'longer',
      log.map((event) =>
        event.type === 'testEvaluated' ? { ...event, report: { ...event.report, accuracy: 0.75 } } : event,
      ),
    );
    const exported = async () => {
      const { blob } = await model.exportModel({ runId: 'longer', format: 'safetensors' });
      return readSafetensors(new Uint8Array(await blob.arrayBuffer())).metadata;
    };
    const before = await model.keepWeights({ runId: 'longer' });
    expect(before.name).not.toContain('%');
    expect((await exported())['test_accuracy']).toBeUndefined();
    const report = await model.evaluate({ runId: 'longer', split: 'test' });
    expect(report.accuracy).toBeCloseTo(1 / 6);
    expect((await exported())['test_accuracy']).toBe(String(report.accuracy));
    const after = await model.keepWeights({ runId: 'longer' });
    expect(after.name).toContain('16.7 %');
    await model.evaluate({ runId: 'longer', split: 'test' });
    const tested = (await runs.events('longer')).filter(({ type }) => type === 'testEvaluated');
    expect(tested.map((event) => 'epoch' in event && event.epoch)).toEqual([best.epoch, 3]);
    for (const { id } of [before, after]) await model.deleteWeights({ id });
    await trainer.deleteRun({ runId: 'longer' });
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
    const { blob, fileName } = await model.exportModel({ runId, format: 'safetensors' });
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
    state.elsewhere = true;
    const attempt = Promise.resolve(trainer.start({ config, datasetId: dataset.id, weightsId: null }));
    await expect(attempt).rejects.toMatchObject({ name: 'TrainingElsewhereError' });
    state.elsewhere = false;
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
    expect(options.every(({ fits }) => fits)).toBe(true);
    // The run of above was of all layers.
    expect(options.map(({ basis }) => basis)).toEqual(['run', 'timed']);
    expect(options[1]!.secondsPerStep).toBeLessThan(options[0]!.secondsPerStep);
  });

  it('tells how long an epoch takes: as the run of above took, where the settings are its own, else by steps', async () => {
    const { history } = foldRun(await trainer.events({ runId }));
    const of = async (batch_size: number) => {
      const data = { ...config.data, batch_size };
      return (await trainer.estimate({ config: { ...config, data }, datasetId: dataset.id, weightsId: null }))[0]!;
    };
    const [like, other] = [await of(config.data.batch_size), await of(4)];
    expect(like).toMatchObject({ basis: 'run', layers: 'all' });
    expect(like.secondsPerEpoch).toBeCloseTo(history[1]!.seconds, 6);
    expect(like.totalSeconds).toBeGreaterThan(2 * like.secondsPerEpoch);
    expect(other.basis).toBe('timed');
    const steps = Math.ceil(history[0]!.train.n / 4);
    expect(other.secondsPerEpoch).toBeGreaterThan(0.8 * steps * other.secondsPerStep);
  });

  it('knows that a cached backbone is asked once for each view, however many epochs there are', async () => {
    const total = async (epochs: number, cached_views: number) => {
      const training = { ...config.training, layers: 'head', cached_views, epochs } as const;
      const [head, all] = await trainer.estimate({
        config: { ...config, training },
        datasetId: dataset.id,
        weightsId: null,
      });
      expect([head!.layers, all!.layers]).toEqual(['head', 'all']);
      // In units of an epoch of all layers: the computer may be busy.
      return (head!.totalSeconds / all!.totalSeconds) * epochs;
    };
    const [never, once, each] = [await total(1000, 0), await total(1000, 1), await total(1000, 1000)];
    expect(once).toBeLessThan(never / 4);
    expect(each).toBeGreaterThan(4 * once);
  });
});
