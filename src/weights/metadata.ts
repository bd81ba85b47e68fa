import type { Members } from '../dataset/types.ts';
import { z } from '../zod.ts';

/** Where a checkpoint of ours keeps everything but its tensors, as JSON. */
export const CHECKPOINT_METADATA = 'pacerid.checkpoint';
/** Where an exported weights file says what its model was trained, picked and tested with, as JSON. */
export const MEMBERS_METADATA = 'pacerid.members';
/** Optimiser moments lie beside a checkpoint's weights under this prefix. */
export const OPTIMISER_PREFIX = 'optimizer.';

/** What a weights file says of its model; null for what it doesn't say. */
export interface WeightsDescription {
  /** What each row of the head stands for. */
  readonly labels: readonly string[] | null;
  readonly members: Members | null;
  readonly architecture: string | null;
}

export const nothingSaid: WeightsDescription = { labels: null, members: null, architecture: null };

/** Where a weights file says which eps its batch norms were trained with: a number as text. */
export const BATCH_NORM_EPS_METADATA = 'batch_norm_eps';

/** What a weights file says of itself with a graph's eps; nothing where the graph has no batch norms. */
export function batchNormEpsMetadata(eps: number | null | undefined): Readonly<Record<string, string>> {
  return eps == null ? {} : { [BATCH_NORM_EPS_METADATA]: String(eps) };
}

/** Null where the file doesn't say, `'wrong'` where what it says is no eps. */
export function batchNormEpsIn(metadata: Readonly<Record<string, string>>): number | null | 'wrong' {
  const text = metadata[BATCH_NORM_EPS_METADATA];
  if (text === undefined) return null;
  const eps = batchNormEpsSchema.safeParse(Number(text.trim() === '' ? NaN : text));
  return eps.success ? eps.data : 'wrong';
}

/** torch allows any; what is no small number above 0 was written by mistake. */
export const batchNormEpsSchema = z.number().gt(0).lt(1);

const labelsSchema = z.array(z.string());
const names = z.array(z.string().regex(/^[0-9a-f]{16}$/));
export const membersSchema = z.object({ train: names, val: names, test: names });
/** Of a checkpoint's JSON, what concerns its weights; the room training/ reads all of it. */
const checkpointSchema = z.object({
  architecture: z.string(),
  dataset: z.object({ classes: labelsSchema }),
  members: membersSchema.optional(),
});

/** Of an exported file or of a checkpoint. What is there but not well-formed counts as not said: the weights are good all the same. */
export function describedBy(metadata: Readonly<Record<string, string>>): WeightsDescription {
  const checkpoint = checkpointSchema.safeParse(parsed(metadata[CHECKPOINT_METADATA]));
  if (checkpoint.success) {
    const { architecture, dataset, members } = checkpoint.data;
    return { labels: dataset.classes, members: members ?? null, architecture };
  }
  return {
    labels: labelsSchema.safeParse(parsed(metadata['classes'])).data ?? null,
    members: membersSchema.safeParse(parsed(metadata[MEMBERS_METADATA])).data ?? null,
    architecture: metadata['architecture'] ?? null,
  };
}

function parsed(json: string | undefined): unknown {
  if (json === undefined) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
