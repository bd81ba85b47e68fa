import type { Members } from '../dataset/types.ts';
import { describedBy, nothingSaid, OPTIMISER_PREFIX, type WeightsDescription } from './metadata.ts';
import { isPyTorchFile } from './pytorch/container.ts';
import { readPyTorchFile } from './pytorch/readPyTorch.ts';
import { readSafetensors, readSafetensorsMetadata } from './safetensors.ts';
import type { NamedTensors } from './types.ts';

/** A weights file of whatever kind, read: parameters and running statistics under the file's own names, no optimiser state. */
export type WeightsFile = NamedTensors & WeightsDescription;

/**
 * safetensors, a checkpoint of ours (its optimiser is left out), or PyTorch's `.pt`/`.pth` (no code in it is ever run), told apart
 * by their first bytes. Throws `NotSafetensorsError`, `PyTorchFileError`.
 */
export function readWeightsFile(bytes: Uint8Array): WeightsFile {
  if (isPyTorchFile(bytes)) return { tensors: readPyTorchFile(bytes), metadata: {}, ...nothingSaid };
  const { tensors, metadata } = readSafetensors(bytes);
  const weights = [...tensors].filter(([name]) => !name.startsWith(OPTIMISER_PREFIX));
  return { tensors: new Map(weights), metadata, ...describedBy(metadata) };
}

/** What the model in a file was trained, picked and tested with, without reading its tensors; null where the file doesn't say. */
export function membersInFile(bytes: Uint8Array): Members | null {
  return isPyTorchFile(bytes) ? null : describedBy(readSafetensorsMetadata(bytes)).members;
}
