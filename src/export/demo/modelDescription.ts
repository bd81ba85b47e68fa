import { architectureNames } from '../../architectures/settings.ts';
import { z } from '../../zod.ts';
import { ModelUnreadableError, ModelVersionError, NotAModelError } from './errors.ts';

/**
 * What a shared model says of itself, `model/model.json`: all that it takes to show it an image and to read its answer, in one file
 * that a person can read too. The weights lie beside it.
 */
const FORMAT = 'pacerid-model';
const SCHEMA = 1;
/** Where it lies in a demo folder. */
export const DESCRIPTION_PATH = 'model/model.json';

const share = z.number().min(0).max(1);
const channels = z.tuple([z.number(), z.number(), z.number()]);

const modelDescription = z.object({
  format: z.literal(FORMAT),
  /** Raised when the form changes. */
  schema: z.literal(SCHEMA),
  name: z.string().min(1),
  version: z.string(),
  architecture: z.enum(architectureNames),
  /** Of the batch norms; absent in older ones: the architecture's own. */
  batchNormEps: z.number().gt(0).lt(1).optional(),
  /** In the order of the logits. */
  labels: z
    .array(z.string())
    .min(1)
    .refine((labels) => new Set(labels).size === labels.length, 'two classes have one name'),
  /** Pixels, square. */
  imageSize: z.int().min(1).max(4096),
  /** How an image that isn't square becomes one. */
  geometry: z.enum(['center_crop', 'squash']),
  /** Of the range 0–1, RGB: the network sees (x / 255 − mean) / std. */
  mean: channels,
  std: channels,
  /** What the logits are divided by before the softmax; absent in older ones: 1. */
  temperature: z.number().positive().optional(),
  /** A checkpoint without optimiser state, in the same folder. */
  weights: z.object({
    file: z.string().regex(/^\w[\w.-]*$/),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    bytes: z.int().positive(),
  }),
  dataset: z.object({ name: z.string(), synthetic: z.boolean() }),
  /** On images that it never saw, with the 95 % interval; null where it was not judged. */
  test: z.object({ n: z.int().positive(), accuracy: share, interval: z.tuple([share, share]) }).nullable(),
  author: z.string(),
  description: z.string(),
  intendedUse: z.string(),
  /** When the training began, ISO 8601. */
  createdAt: z.iso.datetime(),
});

export type ModelDescription = z.infer<typeof modelDescription>;

/** A description without what is the same in all of this version. */
export type Described = Omit<ModelDescription, 'format' | 'schema'>;

/** Equal descriptions give equal text. */
export function writeDescription(described: Described): string {
  const checked = modelDescription.parse({ format: FORMAT, schema: SCHEMA, ...described });
  return `${JSON.stringify(checked, null, 2)}\n`;
}

/** Whether this is a description of ours, of whatever version, good or bad. */
export function isDescription(text: string): boolean {
  return formatOf(parsed(text)) === FORMAT;
}

/** `name`: what the user knows the model by. Throws `NotAModelError`, `ModelVersionError`, `ModelUnreadableError`. */
export function readDescription(text: string, name: string): ModelDescription {
  const value = parsed(text);
  if (formatOf(value) !== FORMAT) throw new NotAModelError(name);
  const { schema, architecture } = value as { readonly schema?: unknown; readonly architecture?: unknown };
  if (schema !== SCHEMA)
    throw new ModelVersionError(name, `its model.json has schema ${String(schema)}, and this version reads ${SCHEMA}`);
  if (typeof architecture === 'string' && !architectureNames.some((known) => known === architecture))
    throw new ModelVersionError(name, `it is a network that this version doesn’t know (${architecture})`);
  const checked = modelDescription.safeParse(value);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw new ModelUnreadableError(name, `in model.json, ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}

function formatOf(value: unknown): unknown {
  return (value as { readonly format?: unknown } | null)?.format;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
