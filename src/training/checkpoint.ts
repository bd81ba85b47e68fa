import { sizesOf } from '../dataset/split.ts';
import type { OptimiserState } from '../engine/types.ts';
import type { Tensor, Weights } from '../graph/types.ts';
import { NotSafetensorsError } from '../weights/errors.ts';
import {
  batchNormEpsMetadata,
  batchNormEpsSchema,
  CHECKPOINT_METADATA,
  membersSchema,
  OPTIMISER_PREFIX,
} from '../weights/metadata.ts';
import { readSafetensors, writeSafetensors } from '../weights/safetensors.ts';
import { z } from '../zod.ts';
import { CheckpointUnreadableError } from './errors.ts';
import { withLaterSettings } from './settings.ts';
import type { Checkpoint } from './types.ts';

/**
 * A checkpoint is a safetensors file: weights and running statistics under torchvision's names, what the
 * optimiser keeps as `optimizer.${parameter}.exp_avg`, `.momentum_buffer` and the like, everything else as JSON in the metadata.
 */
export function writeCheckpoint(checkpoint: Checkpoint): Uint8Array<ArrayBuffer> {
  const { weights, optimiser, ...rest } = checkpoint;
  const tensors = new Map<string, Tensor>(weights);
  for (const [name, tensor] of optimiser.moments) tensors.set(OPTIMISER_PREFIX + name, tensor);
  return writeSafetensors(tensors, {
    format: 'pt',
    // For whoever reads it as a plain weights file.
    ...batchNormEpsMetadata(rest.batchNormEps),
    [CHECKPOINT_METADATA]: JSON.stringify({ ...rest, optimiser: describedOptimiser(optimiser) }),
  });
}

/** Images in each split; null where neither the checkpoint nor its members tell. */
export function countsOf({ counts, members }: Pick<Checkpoint, 'counts' | 'members'>): Checkpoint['counts'] | null {
  if (counts !== undefined) return counts;
  // Of the first version, whose members were its data set's alone.
  return members === undefined ? null : sizesOf(members);
}

/** Throws `CheckpointUnreadableError` for a file that isn't one of ours or is of a schema that this version doesn't know. */
export function readCheckpoint(bytes: Uint8Array): Checkpoint {
  const { tensors, metadata } = whole(bytes);
  const rest = described(metadata[CHECKPOINT_METADATA]);
  const weights = new Map<string, Tensor>();
  const moments = new Map<string, Tensor>();
  for (const [name, { shape, data }] of tensors) {
    if (name.startsWith(OPTIMISER_PREFIX)) moments.set(name.slice(OPTIMISER_PREFIX.length), { shape, data });
    else weights.set(name, { shape, data });
  }
  return { ...rest, weights: weights as Weights, optimiser: { ...describedOptimiser(rest.optimiser), moments } };
}

type Described = Omit<Checkpoint, 'weights' | 'optimiser'> & {
  readonly optimiser: Omit<OptimiserState, 'moments'>;
};

function describedOptimiser({ step, lossScale }: Described['optimiser']): Described['optimiser'] {
  return { step, ...(lossScale && { lossScale }) };
}

const natural = z.int().nonnegative();
/** JSON has no NaN: a figure that was none lies there as null, and is NaN again here. */
const figure = z.nullable(z.number()).transform((value) => value ?? NaN);
const uint32 = natural.max(2 ** 32 - 1);
const measured = z.object({ n: natural, loss: figure, accuracy: figure, precision: figure });
/** What everything here relies on. The configuration is checked by those who take a checkpoint from outside. */
const schema = z.object({
  schema: z.literal(1),
  // Part of keys and of file names.
  runId: z.string().regex(/^[\w-]{1,100}$/),
  epoch: z.int().positive(),
  config: z.looseObject({}),
  dataset: z.object({
    id: z.string(),
    name: z.string(),
    hash: z.string(),
    synthetic: z.boolean(),
    classes: z.array(z.string()).min(1),
  }),
  architecture: z.string(),
  batchNormEps: batchNormEpsSchema.nullish(),
  origin: z.looseObject({ kind: z.enum(['random', 'pretrained', 'file', 'checkpoint']) }),
  batchnormBatch: z.int().positive(),
  cuts: z.object({ device: z.string(), chosen: z.record(z.string(), z.string().nullable()) }).optional(),
  temperature: z.number().positive().optional(),
  history: z.array(
    z.object({
      epoch: z.int().positive(),
      train: measured,
      validation: measured.nullable(),
      seconds: z.number(),
      best: z.boolean(),
    }),
  ),
  bestEpoch: natural.nullable(),
  members: membersSchema.optional(),
  counts: z.object({ train: natural, val: natural, test: natural }).optional(),
  random: z
    .object({
      generator: z.string(),
      seeds: z.object({ training: uint32, split: uint32 }),
      streams: z.record(z.string(), uint32),
      augmentation: natural.optional(),
      next: z.object({ epoch: z.int().positive(), step: natural }),
    })
    .optional(),
  order: z.array(natural).optional(),
  optimiser: z.object({
    step: natural,
    lossScale: z.object({ scale: z.number().positive(), good: natural, skipped: natural }).optional(),
  }),
});

function whole(bytes: Uint8Array): ReturnType<typeof readSafetensors> {
  try {
    return readSafetensors(bytes);
  } catch (error) {
    if (error instanceof NotSafetensorsError) throw new CheckpointUnreadableError(error.message, error);
    throw error;
  }
}

function described(text: string | undefined): Described {
  if (text === undefined) throw new CheckpointUnreadableError('it carries no description of its run');
  let rest: unknown;
  try {
    rest = JSON.parse(text);
  } catch (error) {
    throw new CheckpointUnreadableError('the description of its run is not JSON', error);
  }
  const version = (rest as { schema?: unknown } | null)?.schema;
  if (version !== 1) throw new CheckpointUnreadableError(`it has schema ${String(version)}, this version reads 1`);
  const checked = schema.safeParse(rest);
  if (checked.success) {
    const { config } = rest as Described;
    return { ...(rest as Described), config: withLaterSettings(config), history: checked.data.history };
  }
  const place = checked.error.issues[0]?.path.join('.') ?? '';
  throw new CheckpointUnreadableError(`the description of its run is not as it should be (${place})`);
}
