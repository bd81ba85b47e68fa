import { z } from '../zod.ts';
import { NewerVersionError } from './errors.ts';
import { beforeCertificates } from './proof.ts';
import type { VersionRecord } from './types.ts';

const count = z.int().min(0);
/** JSON has no NaN: a figure that was none lies there as null, and is NaN again here. */
const figure = z.nullable(z.number()).transform((value) => value ?? NaN);
const metrics = z.object({ n: count, loss: figure, accuracy: figure, precision: figure });

const SCHEMA = 2;

const certificate = z.object({
  format: z.enum(['mlpackage', 'mlmodel', 'onnx', 'tfjs']),
  fileName: z.string(),
  sha256: z.string(),
  content: z.string(),
  bytes: count,
  precision: z.enum(['float16', 'float32']),
  eightBit: z.boolean(),
  imageSize: count,
  imagesFrom: z.object({ split: z.string(), dataset: z.string(), hash: z.string() }),
  images: count,
  maxDifference: figure,
  meanDifference: figure,
  flips: count,
  right: z.object({ trained: count, exported: count }),
  thresholds: z.object({ maxDifference: z.number(), maxFlips: count }),
  passed: z.boolean(),
  failures: z.array(z.string()),
});

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
  certificate: certificate.nullable(),
  uncertified: z.string(),
  bytes: count,
});

/** Schema 1: no version had a certificate. */
function migrated(parsed: unknown): unknown {
  const old = parsed as { readonly schema?: unknown } | null;
  return old?.schema === 1 ? { ...old, schema: SCHEMA, ...beforeCertificates } : parsed;
}

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
  const result = versionRecord.safeParse(migrated(parsed));
  if (!result.success)
    return `version.json lacks what a version says of itself (${result.error.issues[0]?.path.join('.')})`;
  if (result.data.version !== version) return `it says of itself that it is ${result.data.version}`;
  return result.data;
}
