import { createHash } from 'node:crypto';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import { readCheckpoint } from '../../../src/training/checkpoint.ts';
import { foldRun } from '../../../src/training/runState.ts';
import { startProcess } from '../support/cli.ts';
import { smallRun } from './smallRun.ts';

export interface RunDigest {
  /** Of every step, in order; shortest decimal form, which tells any two floats apart. */
  readonly losses: readonly number[];
  /** Loss on validation after each epoch. */
  readonly validation: readonly number[];
  /** SHA-256 over names and bytes of weights, running statistics and moments. */
  readonly tensors: string;
}

export interface DigestedRun {
  readonly device: 'wasm' | 'webgpu';
  /** Absent: the small graph of `smallRun`. */
  readonly architecture?: ArchitectureName;
  readonly seed: number;
}

/** Two epochs of the product's own loop: shuffles, augmentation, dropout, batch norm, validation. Always from the same first weights. */
export async function runDigest({ device, architecture, seed }: DigestedRun): Promise<RunDigest> {
  const { store, events, error } = await smallRun({
    ...(architecture && { architecture }),
    change: { epochs: 2, learning_rate: 0.001, device, seed },
  });
  if (error !== null) throw error;
  const { steps, history } = foldRun(events);
  const { weights, optimiser } = readCheckpoint((await store.readCheckpoint('small', 'latest')) as Uint8Array);
  const hash = createHash('sha256');
  for (const [name, { data }] of [...weights, ...optimiser.moments]) {
    hash.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return {
    losses: steps.map(({ loss }) => loss),
    validation: history.map((row) => row.validation!.loss),
    tensors: hash.digest('hex'),
  };
}

/** The same, by a process of its own. */
export async function digestInAnotherProcess(run: DigestedRun): Promise<RunDigest> {
  const args = ['scripts/run.mjs', 'tests/tools/digestRun.ts', JSON.stringify(run)];
  const { code, stdout, stderr } = await startProcess(process.execPath, args, { timeout: 200_000 }).ended;
  if (code !== 0) throw new Error(`digestRun ended with ${code}: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as RunDigest;
}
