import type { Tensor, Weights } from '../graph/types.ts';
import { CHECKPOINT_METADATA, OPTIMISER_PREFIX } from '../weights/metadata.ts';
import { readSafetensors, writeSafetensors } from '../weights/safetensors.ts';
import { CheckpointUnreadableError } from './errors.ts';
import type { Checkpoint } from './types.ts';

/**
 * A checkpoint is a safetensors file: weights and running statistics under torchvision's names, Adam's moments as
 * `optimizer.${parameter}.exp_avg` and `.exp_avg_sq`, everything else as JSON in the metadata.
 */
export function writeCheckpoint(checkpoint: Checkpoint): Uint8Array<ArrayBuffer> {
  const { weights, optimiser, ...rest } = checkpoint;
  const tensors = new Map<string, Tensor>(weights);
  for (const [name, tensor] of optimiser.moments) tensors.set(OPTIMISER_PREFIX + name, tensor);
  return writeSafetensors(tensors, {
    format: 'pt',
    [CHECKPOINT_METADATA]: JSON.stringify({ ...rest, optimiser: { step: optimiser.step } }),
  });
}

/** Throws `CheckpointUnreadableError` for a file that isn't one of ours or is of a schema that this version doesn't know. */
export function readCheckpoint(bytes: Uint8Array): Checkpoint {
  const { tensors, metadata } = readSafetensors(bytes);
  const text = metadata[CHECKPOINT_METADATA];
  if (text === undefined) throw new CheckpointUnreadableError('it carries no description of its run');
  const rest = JSON.parse(text) as Omit<Checkpoint, 'weights' | 'optimiser'> & { optimiser: { step: number } };
  if (rest.schema !== 1)
    throw new CheckpointUnreadableError(`it has schema ${String(rest.schema)}, this version reads 1`);
  const weights = new Map<string, Tensor>();
  const moments = new Map<string, Tensor>();
  for (const [name, { shape, data }] of tensors) {
    if (name.startsWith(OPTIMISER_PREFIX)) moments.set(name.slice(OPTIMISER_PREFIX.length), { shape, data });
    else weights.set(name, { shape, data });
  }
  return { ...rest, weights: weights as Weights, optimiser: { step: rest.optimiser.step, moments } };
}
