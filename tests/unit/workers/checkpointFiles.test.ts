import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../../src/dataset/types.ts';
import { memoryRunStore } from '../../../src/platform/node/runStore.ts';
import { readCheckpoint, writeCheckpoint } from '../../../src/training/checkpoint.ts';
import { drawsAfter } from '../../../src/training/draws.ts';
import { foldRun } from '../../../src/training/runState.ts';
import type { Checkpoint } from '../../../src/training/types.ts';
import { CHECKPOINT_METADATA } from '../../../src/weights/metadata.ts';
import { readSafetensors, writeSafetensors } from '../../../src/weights/safetensors.ts';
import { computer, config } from './computer.ts';

const here = computer();
let dataset: Dataset;
/** A whole run, and one that was suspended after its first epoch. */
let whole: string;
let cut: string;
beforeAll(async () => {
  dataset = await here.importSample();
  ({ runId: whole } = await here.trainer.start({ config, datasetId: dataset.id, weightsId: null }));
  const suspend = (event: { readonly event: { readonly type: string } }) =>
    event.event.type === 'checkpointSaved' && void here.trainer.suspend(null);
  here.listeners.add(suspend);
  ({ runId: cut } = await here.trainer.start({ config, datasetId: dataset.id, weightsId: null }));
  here.listeners.delete(suspend);
});

const fileOf = async (runId: string, which: 'latest' | 'best' = 'latest'): Promise<Blob> =>
  (await here.model.checkpointFile({ runId, which })).blob;
const bytesOf = async (blob: Blob): Promise<Uint8Array<ArrayBuffer>> => new Uint8Array(await blob.arrayBuffer());
const checkpointOf = async (blob: Blob): Promise<Checkpoint> => readCheckpoint(await bytesOf(blob));
const blobOf = (checkpoint: Checkpoint): Blob => new Blob([writeCheckpoint(checkpoint)]);

describe('a checkpoint as a file', () => {
  it('is what is stored, with the checksum of sha256', async () => {
    const { fileName, blob, sha256 } = await here.model.checkpointFile({ runId: whole, which: 'best' });
    const bytes = await bytesOf(blob);
    expect(fileName).toBe('checkpoint_best.safetensors');
    expect(Buffer.compare(bytes, (await here.runs.readCheckpoint(whole, 'best'))!)).toBe(0);
    expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    const none = Promise.resolve(here.model.checkpointFile({ runId: 'none', which: 'best' }));
    await expect(none).rejects.toMatchObject({ name: 'NoCheckpointError' });
  });
});

describe('on another computer', () => {
  it('is a run with its curves, that answers and is judged as at home', async () => {
    const there = computer();
    const file = await fileOf(whole, 'best');
    const summary = await there.model.openCheckpoint({ file, name: 'checkpoint_best.safetensors' });
    const { epoch, history } = await checkpointOf(file);
    const state = epoch < config.training.epochs ? 'stopped' : 'completed';
    expect(summary).toMatchObject({ id: whole, state, latestEpoch: epoch, bestEpoch: epoch, storedBytes: file.size });
    expect(await there.trainer.runs(null)).toEqual([summary]);
    const run = foldRun(await there.trainer.events({ runId: whole }));
    const home = foldRun(await here.trainer.events({ runId: whole }));
    expect(run).toMatchObject({ status: 'finished', runId: whole, epoch, bestEpoch: epoch, test: null });
    expect(run.history).toEqual(home.history.slice(0, epoch));
    expect(run.history).toEqual(history);
    for (const key of ['parameters', 'epochs', 'stepsPerEpoch', 'config'] as const) expect(run[key]).toEqual(home[key]);
    expect(run.dataset?.counts).toEqual(home.dataset?.counts);
    expect(run.notices.map(({ text }) => text).join()).toContain('Opened from the file checkpoint_best.safetensors');

    // The same images, imported there: Test is judged once, to the same probabilities.
    await there.importSample();
    const report = await there.model.evaluate({ runId: whole, split: 'test' });
    expect(report).toEqual(home.test!.report);
    expect(foldRun(await there.trainer.events({ runId: whole })).test?.report).toEqual(report);
  });

  it('resumes to the very weights of a run that was never cut', async () => {
    const there = computer();
    await there.importSample();
    const summary = await there.model.openCheckpoint({
      file: await fileOf(cut),
      name: 'checkpoint_latest.safetensors',
    });
    expect(summary).toMatchObject({ id: cut, state: 'stopped', latestEpoch: 1, bestEpoch: 1 });
    await there.trainer.resume({ runId: cut });
    const resumed = readCheckpoint((await there.runs.readCheckpoint(cut, 'latest'))!);
    const straight = await checkpointOf(await fileOf(whole));
    expect(resumed.epoch).toBe(2);
    for (const [name, { data }] of straight.weights) expect(resumed.weights.get(name)?.data, name).toEqual(data);
    expect(resumed.members).toEqual(straight.members);
    const run = foldRun(await there.trainer.events({ runId: cut }));
    expect(run.history.map((row) => row.epoch)).toEqual([1, 2]);
    expect(run.test?.report.n).toBe(12);
  });

  it('without its data set it is not resumed, by name', async () => {
    const there = computer();
    await there.model.openCheckpoint({ file: await fileOf(cut), name: 'c' });
    const attempt = Promise.resolve(there.trainer.resume({ runId: cut }));
    await expect(attempt).rejects.toMatchObject({ name: 'DatasetChangedError' });
  });

  it('of an epoch that was not the best says so; the best is then the best of what is here', async () => {
    const there = computer();
    await there.importSample();
    const checkpoint = await checkpointOf(await fileOf(cut));
    // As if epoch 1 had been far better than 2, and a third epoch were to come.
    const [row] = checkpoint.history;
    const better = { ...row!, validation: { ...row!.validation!, loss: 1e-6 } };
    const worse = { ...row!, epoch: 2, best: false, validation: { ...row!.validation!, loss: 99 } };
    const longer = { ...checkpoint.config, training: { ...checkpoint.config.training, epochs: 3 } };
    const images = checkpoint.order!.toSorted((a, b) => a - b);
    const file = blobOf({
      ...checkpoint,
      ...drawsAfter(longer, 2, checkpoint.optimiser.step, images),
      epoch: 2,
      bestEpoch: 1,
      history: [better, worse],
      config: longer,
    });
    const summary = await there.model.openCheckpoint({ file, name: 'checkpoint_latest.safetensors' });
    expect(summary).toMatchObject({ state: 'stopped', latestEpoch: 2, bestEpoch: 2 });
    const opened = foldRun(await there.trainer.events({ runId: cut }));
    expect(opened.notices.map(({ text }) => text).join()).toContain('The best epoch of this run was 1');
    expect(await there.model.openCheckpoint({ file, name: 'again' })).toEqual(summary);
    await there.trainer.resume({ runId: cut });
    // Not the lost epoch 1: its weights are nowhere.
    expect((await there.runs.read(cut))?.bestEpoch).toBe(3);
    expect(foldRun(await there.trainer.events({ runId: cut })).test?.epoch).toBe(3);
  });
});

describe('where the run is already', () => {
  it('the very same is not stored twice; another state of it becomes a run of its own, once', async () => {
    const before = await here.trainer.runs(null);
    for (const which of ['best', 'latest'] as const)
      expect(await here.model.openCheckpoint({ file: await fileOf(whole, which), name: 'c' })).toMatchObject({
        id: whole,
      });
    expect(await here.trainer.runs(null)).toEqual(before);
    const other = blobOf({ ...(await checkpointOf(await fileOf(whole))), batchnormBatch: 4 });
    const summary = await here.model.openCheckpoint({ file: other, name: 'c' });
    expect(summary.id).toMatch(new RegExp(`^${whole}-[0-9a-f]{8}$`));
    expect(await here.model.openCheckpoint({ file: other, name: 'c' })).toEqual(summary);
    expect(await here.trainer.runs(null)).toHaveLength(before.length + 1);
    await here.trainer.deleteRun({ runId: summary.id });
  });
});

describe('what is no checkpoint of ours', () => {
  const refused = async (file: Blob, error: string, text: string) => {
    const there = computer();
    const attempt = Promise.resolve(there.model.openCheckpoint({ file, name: 'mine.safetensors' }));
    await expect(attempt).rejects.toMatchObject({ name: error, message: expect.stringContaining(text) as string });
    expect(await there.trainer.runs(null)).toEqual([]);
  };

  it('weights alone, ours or PyTorch’s: they can be started from', async () => {
    const { blob } = await here.model.exportModel({ runId: whole, format: 'safetensors' });
    await refused(blob, 'NotACheckpointError', 'mine.safetensors is a file of weights');
    const pickle = readFileSync(new URL('../../fixtures/pytorch/ignite_checkpoint.pt', import.meta.url));
    await refused(new Blob([pickle]), 'NotACheckpointError', 'is a file of weights');
  });

  it('is refused by name: cut short, wrong values, missing or strange tensors', async () => {
    const bytes = await bytesOf(await fileOf(whole));
    await refused(new Blob([bytes.slice(0, 50)]), 'NotSafetensorsError', 'ends inside its header');
    await refused(new Blob([bytes.slice(0, -5)]), 'CheckpointUnreadableError', 'cut short');
    await refused(new Blob(['hello, this is a text']), 'NotSafetensorsError', 'header');

    const checkpoint = readCheckpoint(bytes);
    const { config: own, weights, dataset: data, history } = checkpoint;
    const unreadable = (change: object, text: string) =>
      refused(blobOf({ ...checkpoint, ...change }), 'CheckpointUnreadableError', text);
    await unreadable({ runId: '../../etc' }, 'runId');
    await unreadable({ schema: 2 }, 'it has schema 2');
    await unreadable({ epoch: 7 }, 'history');
    await unreadable({ history: [{ ...history[0], train: null }, history[1]] }, 'history.0.train');
    await unreadable({ order: [0, -1] }, 'order.1');
    await unreadable({ random: { ...checkpoint.random, seeds: { training: 1.5, split: 0 } } }, 'random.seeds.training');
    await unreadable({ config: { ...own, training: { ...own.training, learning_rate: -1 } } }, 'learning_rate is -1');
    await unreadable({ config: { ...own, training: {} } }, 'training.epochs is missing');
    const stepless = { optimizer: 'sgd', nesterov: true, momentum: 0 };
    await unreadable(
      { config: { ...own, training: { ...own.training, ...stepless } } },
      'training.nesterov needs a momentum',
    );
    await unreadable({ architecture: 'vgg' }, 'architecture');
    await unreadable({ dataset: { ...data, classes: ['one', 'two'] } }, 'classifier.weight does not fit');
    const without = [...weights].filter(([name]) => name !== 'classifier.bias');
    await unreadable({ weights: new Map(without) }, 'classifier.bias');
    await unreadable({ weights: new Map([...weights, ['x', { shape: [1], data: new Float32Array(1) }]]) }, 'x');

    const { optimiser } = checkpoint;
    const withoutMoments = (lost: (name: string) => boolean) => ({
      optimiser: { ...optimiser, moments: new Map([...optimiser.moments].filter(([name]) => !lost(name))) },
    });
    await unreadable(
      withoutMoments((name) => name === 'classifier.bias.exp_avg_sq'),
      'lacks classifier.bias.exp_avg_sq',
    );
    await unreadable(
      withoutMoments((name) => !name.startsWith('classifier.')),
      'state lacks ',
    );

    const { tensors } = readSafetensors(bytes);
    const noJson = writeSafetensors(tensors, { [CHECKPOINT_METADATA]: '{"schema":1' });
    await refused(new Blob([noJson]), 'CheckpointUnreadableError', 'not JSON');
  });

  it('moments are asked for of what is trained; without any, Adam starts anew', async () => {
    const head = { ...config, training: { ...config.training, layers: 'head' as const } };
    const { runId } = await here.trainer.start({ config: head, datasetId: dataset.id, weightsId: null });
    const frozen = await checkpointOf(await fileOf(runId));
    expect([...frozen.optimiser.moments.keys()].every((name) => name.startsWith('classifier.'))).toBe(true);
    await here.trainer.deleteRun({ runId });
    await expect(
      Promise.resolve(computer().model.openCheckpoint({ file: blobOf(frozen), name: 'c' })),
    ).resolves.toMatchObject({
      id: runId,
    });

    const there = computer();
    await there.importSample();
    const checkpoint = await checkpointOf(await fileOf(cut));
    const bare = blobOf({ ...checkpoint, optimiser: { ...checkpoint.optimiser, moments: new Map() } });
    await there.model.openCheckpoint({ file: bare, name: 'c' });
    await there.trainer.resume({ runId: cut });
    const { notices, status } = foldRun(await there.trainer.events({ runId: cut }));
    expect(status).toBe('finished');
    expect(notices.map(({ text }) => text).join()).toContain('Adam starts anew');
  });

  it('settings that an older version did not know may be missing: its run did without', async () => {
    const checkpoint = await checkpointOf(await fileOf(whole));
    const { keep_checkpoints: _, models_dir: _m, ios_dir: _i, ...output } = checkpoint.config.output;
    const { weight_decay: _w, momentum: _p, nesterov: _n, clip_norm: _c, ...later } = checkpoint.config.training;
    const { label_smoothing: _s, class_weights: _cw, ...training } = later;
    const { horizontal_flip: _h, ...augmentation } = training.augmentation;
    const older = { ...checkpoint.config, output, training: { ...training, augmentation } };
    const file = blobOf({ ...checkpoint, config: older } as unknown as Checkpoint);
    const opened = await Promise.resolve(computer().model.openCheckpoint({ file, name: 'c' }));
    expect(opened.id).toBe(whole);
    expect(opened.config.training).toMatchObject({ optimizer: 'adam', weight_decay: 0, clip_norm: null });
    expect(opened.config.training).toMatchObject({ label_smoothing: 0, class_weights: null });
    expect(opened.config.training.augmentation.horizontal_flip).toBe(0);
  });

  it('a full disk leaves nothing of it', async () => {
    const store = memoryRunStore();
    const full = { ...store, appendEvents: () => Promise.reject(new Error('full')) };
    const there = computer(full);
    const file = await fileOf(whole);
    await expect(Promise.resolve(there.model.openCheckpoint({ file, name: 'c' }))).rejects.toThrow('full');
    expect(await store.list()).toEqual([]);
    expect(await store.readCheckpoint(whole, 'latest')).toBeUndefined();
  });

  it('cut off between its log and its checkpoint it is no run; opened once more it is the whole one', async () => {
    const store = memoryRunStore();
    const gone = (): Promise<never> => Promise.reject(new Error('the tab was closed'));
    const file = await fileOf(whole);
    const before = computer({ ...store, writeCheckpoint: gone, delete: gone });
    await expect(Promise.resolve(before.model.openCheckpoint({ file, name: 'c' }))).rejects.toThrow('closed');
    expect(await store.list()).toEqual([]);
    const there = computer(store);
    const { latestEpoch } = await there.model.openCheckpoint({ file, name: 'c' });
    const run = foldRun(await there.trainer.events({ runId: whole }));
    expect(run.history).toEqual((await checkpointOf(file)).history);
    expect(run).toMatchObject({ status: 'finished', latestCheckpoint: latestEpoch });
    expect(run.notices.filter(({ text }) => text.startsWith('Opened from'))).toHaveLength(1);
  });
});

describe('as weights', () => {
  it('a checkpoint starts a run with its head, without its optimiser’s state', async () => {
    const weights = await here.model.importWeights({
      file: await fileOf(cut),
      name: 'checkpoint_latest.safetensors',
      architecture: null,
    });
    expect(weights).toMatchObject({ architecture: 'tiny', labels: dataset.classes, classes: 6, warnings: [] });
    const frozen = { ...config, training: { ...config.training, epochs: 1, learning_rate: 1e-12 } };
    const { runId } = await here.trainer.start({ config: frozen, datasetId: dataset.id, weightsId: weights.id });
    const [from, to] = [await checkpointOf(await fileOf(cut)), await checkpointOf(await fileOf(runId))];
    expect(to.optimiser.step).toBeLessThan(from.optimiser.step + 1);
    const [a, b] = [from, to].map(({ weights: all }) => [...all.get('classifier.weight')!.data]);
    for (const [i, value] of a!.entries()) expect(b![i]).toBeCloseTo(value, 6);
    await here.trainer.deleteRun({ runId });
  });
});
