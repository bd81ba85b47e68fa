import type { Members } from '../dataset/types.ts';
import type { Graph } from '../graph/types.ts';
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

/** `batch_norm_eps` of a weights file: one number where all batch norms agree, else a JSON object by node. */
export function batchNormEps(graph: Graph): string {
  const eps = graph.nodes.flatMap((node) => (node.op === 'batchNorm2d' ? [[node.name, node.eps] as const] : []));
  const [first] = eps;
  if (first === undefined) return '{}';
  return eps.every(([, value]) => value === first[1]) ? String(first[1]) : JSON.stringify(Object.fromEntries(eps));
}

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
