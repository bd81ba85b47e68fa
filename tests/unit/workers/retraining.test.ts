import { beforeAll, describe, expect, it } from 'vitest';
import { assignSplits } from '../../../src/dataset/split.ts';
import type { Dataset, DatasetStore, ImageEntry } from '../../../src/dataset/types.ts';
import { readCheckpoint, writeCheckpoint } from '../../../src/training/checkpoint.ts';
import { metricsOf } from '../../../src/training/metricsFile.ts';
import { emptyRun, foldRun } from '../../../src/training/runState.ts';
import type { Checkpoint } from '../../../src/training/types.ts';
import { readSafetensors, writeSafetensors } from '../../../src/weights/safetensors.ts';
import { computer, config } from './computer.ts';

const { datasets, runs, cache, trainer, model, importSample } = computer();

let dataset: Dataset;
let first: string;
beforeAll(async () => {
  dataset = await importSample();
  ({ runId: first } = await trainer.start({ config, datasetId: dataset.id, weightsId: null }));
});

/** The same images as another data set says: the shards are copied, `change` rewrites each entry. */
async function changed(
  from: Dataset,
  store: DatasetStore,
  id: string,
  change: (image: ImageEntry, index: number) => ImageEntry,
  classes = from.classes,
): Promise<Dataset> {
  for (const shard of new Set(from.images.map((image) => image.shard)))
    await store.writeShard(
      id,
      shard,
      await store.readCaches(from.id, shard),
      await store.readOriginals(from.id, shard),
    );
  const made = { ...from, id, name: id, hash: id, classes, images: from.images.map(change) };
  await store.write(made);
  return made;
}

const parts = ['train', 'val', 'test'] as const;

/** The images of several data sets of the same classes as one, in which no folder says what is Test. */
async function together(id: string, sets: readonly Dataset[]): Promise<Dataset> {
  const images: ImageEntry[] = [];
  let shards = 0;
  for (const [i, set] of sets.entries()) {
    const from = shards;
    for (const shard of new Set(set.images.map((image) => image.shard))) {
      const [caches, originals] = [
        await datasets.readCaches(set.id, shard),
        await datasets.readOriginals(set.id, shard),
      ];
      await datasets.writeShard(id, from + shard, caches, originals);
      shards = Math.max(shards, from + shard + 1);
    }
    images.push(
      ...set.images.map((one) => ({ ...one, path: `${i}/${one.path}`, given: null, shard: from + one.shard })),
    );
  }
  const made = { ...(sets[0] as Dataset), id, name: id, hash: id, layout: 'flat' as const, images };
  await datasets.write(made);
  return made;
}

const checkpointOf = async (runId: string): Promise<Checkpoint> =>
  readCheckpoint((await runs.readCheckpoint(runId, 'best')) as Uint8Array);
const hashes = (from: Dataset, indices: readonly number[]) =>
  indices.map((index) => from.images[index]!.hash.slice(0, 16)).sort();

describe('what a run was trained, picked and tested with', () => {
  it('is in its record and its checkpoints by content, and not sent to the page', async () => {
    const split = assignSplits(dataset, config.data);
    const members = {
      train: hashes(dataset, split.train),
      val: hashes(dataset, split.val),
      test: hashes(dataset, split.test),
    };
    expect((await runs.read(first))?.members).toEqual(members);
    expect((await checkpointOf(first)).members).toEqual(members);
    const [summary] = await trainer.runs(null);
    expect(Object.keys(summary!)).not.toContain('members');
  });

  it('is in the exported weights, as JSON', async () => {
    const { blob } = await model.exportModel({ runId: first, format: 'safetensors' });
    const { metadata } = readSafetensors(new Uint8Array(await blob.arrayBuffer()));
    expect(JSON.parse(metadata['pacerid.members']!)).toEqual((await runs.read(first))?.members);
  });

  it('a checkpoint and a record of the first version, which have none, are judged as they were', async () => {
    const { members: _, ...record } = (await runs.read(first))!;
    const { members: __, ...checkpoint } = await checkpointOf(first);
    const old = { ...record, id: 'old', latestEpoch: record.bestEpoch };
    await runs.writeCheckpoint(old, record.bestEpoch!, writeCheckpoint({ ...checkpoint, runId: 'old' }));
    const report = await model.evaluate({ runId: 'old', split: 'val' });
    expect(report).toEqual(await model.evaluate({ runId: first, split: 'val' }));
    expect(await trainer.membersOf({ runId: 'old' })).toEqual((await runs.read(first))!.members);
    await trainer.deleteRun({ runId: 'old' });
    expect(await trainer.membersOf({ runId: 'old' })).toBeNull();
  });
});

describe('a run that starts from an earlier model', () => {
  it('never trains on what that was tested or picked with, whatever the folders say now', async () => {
    const weights = await model.keepWeights({ runId: first });
    // The worst case: a data set of the same images in which the earlier Test images lie in Train, and others in Test.
    const trap = await changed(dataset, datasets, 'trap', (image, index) => ({
      ...image,
      given: image.given === 'test' ? 'train' : index % 6 === 0 ? 'test' : 'train',
    }));
    const before = (await runs.read(first))!.members!;
    // Without the earlier model these are trained on: the trap is one.
    const alone = assignSplits(trap, config.data);
    expect(hashes(trap, alone.train).some((hash) => before.test.includes(hash))).toBe(true);

    const { runId } = await trainer.start({ config, datasetId: trap.id, weightsId: weights.id });
    const state = foldRun(await trainer.events({ runId }));
    const record = (await runs.read(runId))!;
    expect(record.members).toEqual(before);
    expect(state.dataset?.counts).toEqual({
      train: before.train.length,
      val: before.val.length,
      test: before.test.length,
    });
    expect(hashes(trap, state.test!.report.indices)).toEqual(before.test);
    const report = await model.evaluate({ runId, split: 'test' });
    expect(hashes(trap, report.indices)).toEqual(before.test);
    // And so on: what comes from that model, through a checkpoint file this time, inherits it too.
    const { blob } = await model.checkpointFile({ runId, which: 'best' });
    const next = await model.importWeights({ file: blob, name: 'checkpoint_best.safetensors', architecture: null });
    const { runId: third } = await trainer.start({ config, datasetId: trap.id, weightsId: next.id });
    expect((await runs.read(third))!.members).toEqual(before);
    for (const id of [runId, third]) await trainer.deleteRun({ runId: id });
  });

  it('over two generations: what the first was tested with stays Test, though the second never saw it', async () => {
    // One after the other: a data set is named by its time and its list of files, which two samples share.
    const b = await importSample(1);
    await new Promise((resolve) => setTimeout(resolve, 2));
    const c = await importSample(2);
    // All in one flat folder: nothing but what the models remember says what was Test.
    const all = await together('all', [dataset, b, c]);
    const alone = assignSplits(all, config.data);
    const before = (await runs.read(first))!.members!;
    expect(hashes(all, alone.train).some((hash) => before.test.includes(hash))).toBe(true);

    const v1 = await model.keepWeights({ runId: first });
    const second = (await trainer.start({ config, datasetId: b.id, weightsId: v1.id })).runId;
    const own = assignSplits(b, config.data);
    const record = (await runs.read(second))!;
    for (const part of ['train', 'val', 'test'] as const)
      expect(record.members![part]).toEqual([...before[part], ...hashes(b, own[part])].sort());
    // What is counted are the images of B.
    const counts = { train: own.train.length, val: own.val.length, test: own.test.length };
    expect(foldRun(await trainer.events({ runId: second })).dataset?.counts).toEqual(counts);
    const checkpoint = await checkpointOf(second);
    expect(metricsOf(checkpoint, { ...emptyRun }).dataset.counts).toEqual(counts);
    const elsewhere = computer();
    const { blob } = await model.checkpointFile({ runId: second, which: 'best' });
    await elsewhere.model.openCheckpoint({ file: blob, name: 'c' });
    expect(foldRun(await elsewhere.trainer.events({ runId: second })).dataset?.counts).toEqual(counts);

    const v2 = await model.keepWeights({ runId: second });
    const third = (await trainer.start({ config, datasetId: all.id, weightsId: v2.id })).runId;
    const { members } = (await runs.read(third))!;
    for (const [from, part] of [before, record.members!].flatMap((one) => parts.map((name) => [one, name] as const)))
      expect(members![part]).toEqual(expect.arrayContaining([...from[part]]));
    const { test } = foldRun(await trainer.events({ runId: third }));
    expect(hashes(all, test!.report.indices)).toEqual(members!.test);
    expect(await trainer.membersOf({ runId: third })).toEqual(members);
    for (const runId of [second, third]) await trainer.deleteRun({ runId });
    for (const { id } of [b, c, all]) await datasets.delete(id);
  });

  it('whose file does not say what it was tested with: the run says so; of ImageNet and of one that says it, not', async () => {
    const warningsFrom = async (file: Blob, name: string, labels?: readonly string[]) => {
      const weights = await model.importWeights({ file, name, architecture: 'tiny', ...(labels && { labels }) });
      const frozen = { ...config, training: { ...config.training, epochs: 1 } };
      const { runId } = await trainer.start({ config: frozen, datasetId: dataset.id, weightsId: weights.id });
      const { warnings } = foldRun(await trainer.events({ runId })).weights!;
      await trainer.deleteRun({ runId });
      return warnings.join();
    };
    const { blob } = await model.exportModel({ runId: first, format: 'safetensors' });
    const { tensors, metadata } = readSafetensors(new Uint8Array(await blob.arrayBuffer()));
    const { 'pacerid.members': _, ...forgotten } = metadata;
    const unknown = 'does not say which images its model was tested with';
    expect(await warningsFrom(blob, 'whole')).not.toContain(unknown);
    expect(await warningsFrom(new Blob([writeSafetensors(tensors, forgotten)]), 'ours')).toContain(unknown);
    const bare = new Blob([writeSafetensors(tensors, {})]);
    expect(await warningsFrom(bare, 'labelled', dataset.classes)).toContain(unknown);
    const { members: __, ...checkpoint } = await checkpointOf(first);
    expect(await warningsFrom(new Blob([writeCheckpoint(checkpoint)]), 'checkpoint')).toContain(unknown);
  });

  it('keeps the rows of known labels, and says which are new and which go', async () => {
    const [gone, ...others] = dataset.classes as [string, ...string[]];
    const classes = [...others, 'Zebra'];
    // The first class is called otherwise now: its images are those of a new device.
    const renamed = await changed(
      dataset,
      datasets,
      'renamed',
      (image) => ({ ...image, label: image.label === 0 ? classes.length - 1 : image.label - 1 }),
      classes,
    );
    const weights = await model.keepWeights({ runId: first });
    expect(weights).toMatchObject({ labels: dataset.classes, architecture: 'tiny', downloaded: false });
    const frozen = { ...config, training: { ...config.training, epochs: 1, learning_rate: 1e-12 } };
    const { runId } = await trainer.start({ config: frozen, datasetId: renamed.id, weightsId: weights.id });
    const warnings = foldRun(await trainer.events({ runId })).weights!.warnings;
    expect(warnings).toEqual([
      '1 label is new and starts from nothing: Zebra.',
      `1 label of the file is not in the data set and goes: ${gone}.`,
    ]);
    // At a learning rate of nothing the head is still what it started as.
    const head = (one: Checkpoint) => [...one.weights.get('classifier.weight')!.data];
    const [then, now] = [head(await checkpointOf(first)), head(await checkpointOf(runId))];
    const width = now.length / 6;
    for (let i = 0; i < 5 * width; i++) expect(now[i]).toBeCloseTo(then[i + width]!, 6);
    await trainer.deleteRun({ runId });
  });

  it('is told how it was named: day, accuracy on Test, data set', async () => {
    const { name } = await model.keepWeights({ runId: first });
    const accuracy = foldRun(await trainer.events({ runId: first })).test!.report.accuracy;
    expect(name).toMatch(/^Run of \d{1,2} [A-Z][a-z]+, /);
    expect(name).toContain(`, ${(100 * accuracy).toFixed(1)} % · ${dataset.name}`);
  });

  it('from weights that were deleted since: by name, and nothing is left', async () => {
    const weights = await model.keepWeights({ runId: first });
    await cache.delete(weights.id);
    const attempt = Promise.resolve(trainer.start({ config, datasetId: dataset.id, weightsId: weights.id }));
    await expect(attempt).rejects.toMatchObject({ name: 'WeightsUnavailableError' });
    expect((await trainer.runs(null)).map(({ id }) => id)).toEqual([first]);
  });
});
