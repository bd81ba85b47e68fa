import { z } from '../zod.ts';
import { configSchema } from './schema.ts';
import type { ConfigValue } from './tree.ts';

/** `weights`: one of `choices`, or a number for each of some names. */
export type SettingKind = 'integer' | 'number' | 'text' | 'switch' | 'choice' | 'pair' | 'weights';

/** One setting, for forms and messages. */
export interface SettingDescription {
  /** `training.learning_rate`. */
  readonly path: string;
  readonly kind: SettingKind;
  /** Of a `choice`, or of `weights`; else empty. */
  readonly choices: readonly string[];
  /** Bounds of a number, or of each number of a pair or of weights. */
  readonly minimum: number | null;
  readonly maximum: number | null;
  /** True where `minimum` itself is not allowed. */
  readonly exclusiveMinimum: boolean;
  /** `null` is allowed: the network or the memory decides. */
  readonly nullable: boolean;
  /** What is allowed, in words: `a number greater than 0, at most 10`. */
  readonly allowed: string;
}

/** The part of JSON Schema that zod writes for our settings. */
interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly anyOf?: readonly JsonSchema[];
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly prefixItems?: readonly JsonSchema[];
  readonly minLength?: number;
  readonly pattern?: string;
}

const descriptions: ReadonlyMap<string, SettingDescription> = new Map(
  collect(z.toJSONSchema(configSchema) as JsonSchema, '').map((setting) => [setting.path, setting]),
);
const sections: ReadonlySet<string> = new Set(
  [...descriptions.keys()].flatMap((path) => {
    const keys = path.split('.');
    return keys.slice(1).map((_, i) => keys.slice(0, i + 1).join('.'));
  }),
);

/** Every setting's path, in the order of the schema. */
export const settingPaths: readonly string[] = [...descriptions.keys()];

/** `data`, `data.sample`, `training.augmentation`, … */
export function isSectionPath(path: string): boolean {
  return sections.has(path);
}

/** Null for a path that is no setting (a section, a typing error). */
export function describeSetting(path: string): SettingDescription | null {
  return descriptions.get(path) ?? null;
}

/** What is allowed at a path, in words. */
export function allowedAt(path: string): string {
  return descriptions.get(path)?.allowed ?? 'a section with settings of its own';
}

/** A value in words, for messages: `"fast" (text)`, `-0.1`, `a list of 2`, `nothing (null)`. */
export function valueInWords(value: ConfigValue | undefined): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'nothing (null)';
  if (typeof value === 'string')
    return `${JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)} (text)`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) {
    return value.every((item) => typeof item !== 'object') ? `[${value.join(', ')}]` : `a list of ${value.length}`;
  }
  const entries = Object.entries(value);
  if (entries.some(([, inner]) => typeof inner === 'object' && inner !== null)) return 'a section';
  const text = entries.map(([name, inner]) => `${name}: ${String(inner)}`).join(', ');
  return `{${text.length > 60 ? `${text.slice(0, 60)}…` : text}}`;
}

/** The path or section that was probably meant, or null. */
export function nearestPath(path: string): string | null {
  const leaf = path.slice(path.lastIndexOf('.') + 1);
  const best = nearestOf(path, [...settingPaths, ...sections], Math.max(2, Math.floor(leaf.length / 3)));
  if (best !== null) return best;
  // The right name in the wrong section.
  const elsewhere = settingPaths.filter((candidate) => candidate.endsWith(`.${leaf}`));
  return elsewhere.length === 1 ? elsewhere[0]! : null;
}

/** The candidate that takes the fewest edits to get to, if they are no more than `atMost`; else null. */
export function nearestOf(word: string, candidates: readonly string[], atMost: number): string | null {
  let best: string | null = null;
  let fewest = atMost + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance < fewest) [best, fewest] = [candidate, distance];
  }
  return best;
}

function collect(schema: JsonSchema, path: string): SettingDescription[] {
  if (schema.properties) {
    return Object.entries(schema.properties).flatMap(([key, inner]) => collect(inner, path ? `${path}.${key}` : key));
  }
  const nullable = schema.anyOf?.some((option) => option.type === 'null') ?? false;
  const options = schema.anyOf?.filter((option) => option.type !== 'null') ?? [schema];
  const inner = options.find((option) => option.additionalProperties) ?? options[0]!;
  const each = typeof inner.additionalProperties === 'object' ? inner.additionalProperties : undefined;
  const bounds = inner.prefixItems?.[0] ?? each ?? inner;
  const kind = kindOf(inner);
  return [
    {
      path,
      kind,
      choices: inner.enum ?? options.flatMap((option) => option.const ?? []),
      minimum: bounds.exclusiveMinimum ?? bounds.minimum ?? null,
      maximum: bounds.maximum ?? null,
      exclusiveMinimum: bounds.exclusiveMinimum !== undefined,
      nullable,
      allowed:
        options.flatMap((option) => (option.const === undefined ? [] : `${option.const}, or `)).join('') +
        inWords(kind, inner, path) +
        (nullable ? ', or null' : ''),
    },
  ];
}

function kindOf(schema: JsonSchema): SettingKind {
  if (schema.enum) return 'choice';
  switch (schema.type) {
    case 'integer':
      return 'integer';
    case 'number':
      return 'number';
    case 'boolean':
      return 'switch';
    case 'string':
      return 'text';
    case 'array':
      return 'pair';
    case 'object':
      return 'weights';
    default:
      throw new Error(`No description for a setting of type ${schema.type}.`);
  }
}

function inWords(kind: SettingKind, schema: JsonSchema, path: string): string {
  switch (kind) {
    case 'choice':
      return `one of ${schema.enum!.join(', ')}`;
    case 'integer':
      return `a whole number${boundsInWords(schema)}`;
    case 'number':
      return `a number${boundsInWords(schema)}`;
    case 'switch':
      return 'true or false';
    case 'pair':
      return `two numbers in brackets, the smaller first, each${boundsInWords(schema.prefixItems![0]!)}`;
    case 'weights':
      return `a number${boundsInWords(schema.additionalProperties as JsonSchema)} for each of some classes, as in {Rare: 5}`;
    case 'text':
      if (schema.pattern) return `text: ${patternInWords(path)}`;
      return schema.minLength ? 'text that is not empty' : 'text';
  }
}

function boundsInWords(schema: JsonSchema): string {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  if (minimum !== undefined && exclusiveMaximum !== undefined)
    return `, at least ${minimum} and less than ${exclusiveMaximum}`;
  if (exclusiveMinimum !== undefined) {
    return ` greater than ${exclusiveMinimum}${maximum === undefined ? '' : `, at most ${maximum}`}`;
  }
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `, at least ${minimum}`;
  return maximum === undefined ? '' : `, at most ${maximum}`;
}

/** A pattern's message is written beside it in the room's settings.ts; zod tells it only in answer to a value that fails. */
function patternInWords(path: string): string {
  let schema: unknown = configSchema;
  for (const key of path.split('.')) schema = (schema as z.ZodObject).shape[key];
  const result = (schema as z.ZodType).safeParse('\u0000');
  return result.error?.issues[0]?.message ?? 'as described in configs/base.yaml';
}

/** Levenshtein. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitution, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}
