import { beforeAll, describe, expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { openArchive } from '../../../src/dataset/archive.ts';
import type { Dataset } from '../../../src/dataset/types.ts';
import { batchNormEpsOf } from '../../../src/graph/batchNormEps.ts';
import { exportInput } from '../../../src/registry/exportInput.ts';
import { readCheckpoint, writeCheckpoint } from '../../../src/training/checkpoint.ts';
import type { Checkpoint } from '../../../src/training/types.ts';
import { readSafetensorsMetadata, writeSafetensors } from '../../../src/weights/safetensors.ts';
import { formulaWeights } from '../support/formulaWeights.ts';
import { drawSample } from '../../../src/dataset/sample/drawSample.ts';
import { computer, config } from './computer.ts';

/** A file that was trained with another epsilon than the network's: it goes all the way with the model. */
const EPS = 0.25;
const here = computer();
const headOnly = {
  ...config,
  training: { ...config.training, layers: 'head' as const, epochs: 1, learning_rate: 1e-3 },
};
let dataset: Dataset;
let runId: string;
let checkpoint: Checkpoint;
beforeAll(async () => {
  dataset = await here.importSample();
  const bytes = writeSafetensors(formulaWeights(buildGraph('tiny', 6)), { batch_norm_eps: String(EPS) });
  const weights = await here.model.importWeights({ file: new Blob([bytes]), name: 'theirs', architecture: 'tiny' });
  runId = (await here.trainer.start({ config: headOnly, datasetId: dataset.id, weightsId: weights.id })).runId;
  checkpoint = await latest(runId);
});
const latest = async (id: string): Promise<Checkpoint> =>
  readCheckpoint((await here.runs.readCheckpoint(id, 'latest'))!);
const own = batchNormEpsOf(buildGraph('tiny', 6));

/** What `computer` says of an image, by a checkpoint that says the eps, and by one that doesn't. */
async function probabilities(from: Checkpoint): Promise<readonly number[]> {
  const there = computer();
  const file = new Blob([writeCheckpoint(from)]);
  const { id } = await there.model.openCheckpoint({ file, name: 'x' });
  const [{ png } = { png: new Uint8Array() }] = drawSample({ ...config.data.sample, seed: 9 });
  const { classes } = await there.model.predict({ runId: id, file: new Blob([png as Uint8Array<ArrayBuffer>]) });
  return classes.map(({ probability }) => probability);
}

describe('a run from weights of another epsilon', () => {
  it('has it in its checkpoint, for us and for whoever reads it as a weights file', async () => {
    expect(checkpoint.batchNormEps).toBe(EPS);
    const bytes = (await here.runs.readCheckpoint(runId, 'latest'))!;
    expect(readSafetensorsMetadata(bytes)['batch_norm_eps']).toBe('0.25');
    const ready = (await here.runs.events(runId)).find((event) => event.type === 'weightsReady');
    expect(ready?.warnings.join()).toContain('made with 0.25');
  });

  it('is opened, tried and exported with it', async () => {
    expect(batchNormEpsOf(exportInput(checkpoint, checkpoint.config, null).graph)).toBe(EPS);
    const { output } = checkpoint.config;
    const file = await here.model.exportModel({ runId, format: 'safetensors', output });
    const bytes = new Uint8Array(await file.blob.arrayBuffer());
    expect(readSafetensorsMetadata(bytes)['batch_norm_eps']).toBe('0.25');
    const demo = await here.model.exportDemo({ runId, output });
    const { files } = await openArchive(demo.blob, 'demo.zip');
    const description = files.find(({ path }) => path === 'model/model.json')!;
    expect(JSON.parse(new TextDecoder().decode(await description.read()))).toMatchObject({ batchNormEps: EPS });
  });

  it('says the same after it was opened elsewhere, and something else with the network’s own', async () => {
    const { batchNormEps: _, ...without } = checkpoint;
    const [same, other, older] = await Promise.all(
      [checkpoint, { ...checkpoint, batchNormEps: own }, without].map((one) => probabilities(one)),
    );
    expect(same).not.toEqual(other);
    // A checkpoint of an older page says nothing, and had the network's own.
    expect(older).toEqual(other);
  });

  it('keeps it when another computer goes on', async () => {
    const there = computer();
    await there.importSample();
    const { config: trained } = checkpoint;
    const longer = { ...trained, training: { ...trained.training, epochs: 2 } };
    const file = new Blob([writeCheckpoint({ ...checkpoint, config: longer })]);
    const { id } = await there.model.openCheckpoint({ file, name: 'x' });
    await there.trainer.resume({ runId: id });
    const after = readCheckpoint((await there.runs.readCheckpoint(id, 'latest'))!);
    expect([after.epoch, after.batchNormEps]).toEqual([2, EPS]);
  });

  it('hands it on to a model that is trained further', async () => {
    const kept = await here.model.keepWeights({ runId });
    const next = await here.trainer.start({ config: headOnly, datasetId: dataset.id, weightsId: kept.id });
    expect((await latest(next.runId)).batchNormEps).toBe(EPS);
  });
});
