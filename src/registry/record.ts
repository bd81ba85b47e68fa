import { z } from '../zod.ts';
import { NewerVersionError } from './errors.ts';
import type { VersionRecord } from './types.ts';

const count = z.int().min(0);
/** JSON has no NaN: a figure that was none lies there as null, and is NaN again here. */
const figure = z.nullable(z.number()).transform((value) => value ?? NaN);
const metrics = z.object({ n: count, loss: figure, accuracy: figure, precision: figure });

const SCHEMA = 1;

/**
 * What a version's `version.json` must say; keys that this one doesn't know are left alone. A version never changes, so neither does
 * its record: where a later schema says something else, `readRecord` turns what older ones say into it.
 */
const versionRecord = z.object({
  schema: z.literal(SCHEMA),
  version: z.string(),
  createdAt: z.number(),
  modelName: z.string().regex(/^[A-Za-z][\w-]*$/),
  architecture: z.string(),
  labels: z.array(z.string()),
  dataset: z.object({
    name: z.string(),
    hash: z.string(),
    synthetic: z.boolean(),
    images: z.object({ train: count, val: count, test: count }).nullable(),
  }),
  test: z
    .object({ n: count, accuracy: z.number(), interval: z.tuple([z.number(), z.number()]), loss: figure })
    .nullable(),
  validation: metrics.nullable(),
  epoch: z.int(),
  startedFrom: z.string(),
  certificate: z.null(),
  bytes: count,
});

export function recordText(record: VersionRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`;
}

/** The record, or in words what is wrong. `version`: the folder's name. Throws `NewerVersionError`. */
export function readRecord(bytes: Uint8Array | undefined, version: string): VersionRecord | string {
  if (bytes === undefined) return 'version.json is missing';
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return 'version.json is not JSON';
  }
  const schema = (parsed as { readonly schema?: unknown } | null)?.schema;
  if (typeof schema === 'number' && schema > SCHEMA) throw new NewerVersionError(version);
  const result = versionRecord.safeParse(parsed);
  if (!result.success)
    return `version.json lacks what a version says of itself (${result.error.issues[0]?.path.join('.')})`;
  if (result.data.version !== version) return `it says of itself that it is ${result.data.version}`;
  return result.data;
}
