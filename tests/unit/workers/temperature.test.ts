import { beforeAll, describe, expect, it } from 'vitest';
import { openArchive } from '../../../src/dataset/archive.ts';
import type { Dataset } from '../../../src/dataset/types.ts';
import { drawSample } from '../../../src/dataset/sample/drawSample.ts';
import { answering } from '../../../src/demo/answering.ts';
import { openInference } from '../../../src/engine/inference.ts';
import { readModel } from '../../../src/export/demo/readModel.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';
import { imageDecoder } from '../../../src/platform/node/imageDecoder.ts';
import { exportInput } from '../../../src/registry/exportInput.ts';
import { readCheckpoint, writeCheckpoint } from '../../../src/training/checkpoint.ts';
import type { Checkpoint } from '../../../src/training/types.ts';
import { readSafetensorsMetadata } from '../../../src/weights/safetensors.ts';
import { computer, config } from './computer.ts';

/** Far from any that a run would fit: whoever forgets it is seen. */
const T = 2.5;
const here = computer();
let dataset: Dataset;
let checkpoint: Checkpoint;
beforeAll(async () => {
  dataset = await here.importSample();
  const training = { ...config.training, layers: 'head' as const, epochs: 1 };
  const { runId } = await here.trainer.start({
    config: { ...config, training },
    datasetId: dataset.id,
    weightsId: null,
  });
  checkpoint = readCheckpoint((await here.runs.readCheckpoint(runId, 'best'))!);
});
const [{ png } = { png: new Uint8Array() }] = drawSample({ ...config.data.sample, seed: 9 });
const image = (): Blob => new Blob([png as Uint8Array<ArrayBuffer>]);

async function opened(from: Checkpoint) {
  const there = computer();
  await there.importSample();
  const { id: runId } = await there.model.openCheckpoint({ file: new Blob([writeCheckpoint(from)]), name: 'x' });
  return { there, runId };
}
async function tried(from: Checkpoint): Promise<Map<string, number>> {
  const { there, runId } = await opened(from);
  const { classes } = await there.model.predict({ runId, file: image() });
  return new Map(classes.map(({ label, probability }) => [label, probability]));
}

/** softmax(log p / t) is softmax(z / t) where p is softmax(z). */
function warmed(probabilities: readonly number[], temperature: number): number[] {
  const parts = probabilities.map((p) => p ** (1 / temperature));
  const sum = parts.reduce((all, part) => all + part, 0);
  return parts.map((part) => part / sum);
}

describe('a checkpoint’s temperature', () => {
  it('divides the logits in Try; a checkpoint of an older page, which has none, has 1', async () => {
    const { temperature, ...older } = checkpoint;
    expect(temperature).toBeGreaterThan(0);
    const [plain, one, warm] = await Promise.all(
      [older, { ...older, temperature: 1 }, { ...older, temperature: T }].map(tried),
    );
    expect(one).toEqual(plain);
    const wanted = warmed([...plain!.values()], T);
    [...plain!.keys()].forEach((label, c) => expect(warm!.get(label)).toBeCloseTo(wanted[c]!, 5));
    expect(exportInput(older, older.config, null).temperature).toBe(1);
  });

  it('divides them in Evaluate, and leaves loss and accuracy as they are', async () => {
    const [plain, warm] = await Promise.all(
      [1, T].map(async (temperature) => {
        const { there, runId } = await opened({ ...checkpoint, temperature });
        return there.model.evaluate({ runId, split: 'val' });
      }),
    );
    expect(warm!.temperature).toBe(T);
    expect([warm!.loss, warm!.accuracy, warm!.n]).toEqual([plain!.loss, plain!.accuracy, plain!.n]);
    const wanted = warmed([...plain!.probabilities.slice(0, 6)], T);
    wanted.forEach((p, c) => expect(warm!.probabilities[c]).toBeCloseTo(p, 5));
  });

  it('goes out with a weights file and a demo page, and the page that is made of it shows what Try shows', async () => {
    const { there, runId } = await opened({ ...checkpoint, temperature: T });
    const { output } = checkpoint.config;
    const file = await there.model.exportModel({ runId, format: 'safetensors', output });
    expect(readSafetensorsMetadata(new Uint8Array(await file.blob.arrayBuffer()))['temperature']).toBe('2.5');

    const { files } = await openArchive((await there.model.exportDemo({ runId, output })).blob, 'demo.zip');
    const { description, weights } = await readModel(files, 'demo.zip');
    expect(description.temperature).toBe(T);
    const environment = await nodeEngineEnvironment({ gpu: false });
    const shown = async (about: typeof description) => {
      const demo = answering(about, weights, { open: () => openInference(environment), decoder: imageDecoder() });
      return new Map((await demo.answer(image())).classes.map(({ label, probability }) => [label, probability]));
    };
    const inTry = await tried({ ...checkpoint, temperature: T });
    for (const [label, p] of await shown(description)) expect(p).toBeCloseTo(inTry.get(label)!, 5);
    // A page of an older model says nothing of it.
    const { temperature: _, ...older } = description;
    const before = await tried({ ...checkpoint, temperature: 1 });
    for (const [label, p] of await shown(older)) expect(p).toBeCloseTo(before.get(label)!, 5);
  });

  it('is fitted anew by a run that goes on from its checkpoint', async () => {
    const { there, runId } = await opened({
      ...checkpoint,
      temperature: 17,
      config: { ...checkpoint.config, training: { ...checkpoint.config.training, epochs: 2 } },
    });
    await there.trainer.resume({ runId });
    const after = readCheckpoint((await there.runs.readCheckpoint(runId, 'latest'))!);
    expect(after.epoch).toBe(2);
    expect(after.temperature).toBeLessThan(17);
  });
});
