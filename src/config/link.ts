import { z } from '../zod.ts';
import { describeSetting, isSectionPath, nearestOf, nearestPath } from './describe.ts';
import { ConfigError, type ConfigIssue } from './errors.ts';
import { layerOf, type ConfigLayer } from './layer.ts';
import { layerFromPairs } from './overrides.ts';
import type { Config } from './schema.ts';
import { isSection, leafPaths, mergeTrees, valueAt, type ConfigTree, type ConfigValue } from './tree.ts';

/** What a link to the page may say beside settings. */
const words = z.strictObject({
  /** `?demo` by itself; `?demo=true` is what some tools make of it. */
  demo: z.enum(['', 'true'], 'allowed: demo alone, without a value.').optional(),
  dataset: z.string().min(1, 'allowed: the address of a zip, such as dataset=sets/x.zip.').optional(),
  model: z.string().min(1, 'allowed: the address of a zip, such as model=models/x.zip.').optional(),
  profile: z.enum(['', 'true'], 'allowed: profile alone, without a value.').optional(),
});
type Words = z.infer<typeof words>;
const wordNames = Object.keys(words.shape) as (keyof Words)[];

export interface Link {
  /** The sample data set, set up and ready to train. */
  readonly demo: boolean;
  /** Addresses of zips, as written: beside the page, or on an allowed host. */
  readonly dataset: string | null;
  readonly model: string | null;
  /** For developers: a run says where the time of one of its steps went. */
  readonly profile: boolean;
  /** `?training.epochs=30&data.batch_size=16`. */
  readonly overrides: ConfigLayer;
}

const SOURCE = 'address';

/** What mail programs, social networks and advertisers hang on to links; says nothing to the page. */
const tracking =
  /^(utm_\w+|mtm_\w+|pk_\w+|(fb|g|d|y|tw|tt)clid|msclkid|gbraid|wbraid|igshid|igsh|mc_[ce]id|mkt_tok|_hsenc|_hsmi|_ga|_gl|li_fat_id|vero_id|oly_\w+_id)$/i;

/** Reads the query of the page's address. What is wrong is an issue each; all the rest counts. */
export function readLink(search: string): { readonly link: Link; readonly issues: readonly ConfigIssue[] } {
  const issues: ConfigIssue[] = [];
  const fault = (path: string, message: string) =>
    issues.push({ path, source: SOURCE, line: null, column: null, message });
  const said: Words = {};
  let values: ConfigTree = {};
  const seen = new Set<string>();
  for (const [key, text] of new URLSearchParams(search)) {
    if (tracking.test(key)) continue;
    if (seen.has(key)) {
      fault(key, `${key} is given twice; the first one counts.`);
      continue;
    }
    seen.add(key);
    const word = wordNames.find((name) => name === key);
    if (word) {
      const read = words.safeParse({ [word]: text });
      if (read.success) Object.assign(said, read.data);
      else fault(key, `${key} is ${JSON.stringify(text)}; ${read.error.issues[0]?.message ?? 'that is not allowed.'}`);
    } else if (describeSetting(key) !== null || isSectionPath(key) || key.includes('.')) {
      const read = setting(key, text);
      if ('issues' in read) issues.push(...read.issues);
      else values = mergeTrees(values, read.values);
    } else fault(key, unknownMessage(key));
  }
  if (said.demo !== undefined && said.dataset !== undefined) {
    fault(
      'demo',
      `demo and dataset don’t go together: demo brings the sample data set. The sample is used; leave demo out for ${said.dataset}.`,
    );
    delete said.dataset;
  }
  return {
    link: {
      demo: said.demo !== undefined,
      dataset: said.dataset ?? null,
      model: said.model ?? null,
      profile: said.profile !== undefined,
      overrides: layerOf(SOURCE, values),
    },
    issues,
  };
}

/**
 * The query of a link that brings a page to this configuration; empty where it needs none. Of the settings it names those that
 * `byItself`, the configuration of a page that was told nothing but demo, doesn't have.
 */
export function writeLink(
  { demo, dataset, model }: Pick<Link, 'demo' | 'dataset' | 'model'>,
  effective: Config,
  byItself: Config,
): { readonly query: string; readonly settings: readonly string[] } {
  const [wanted, there] = [effective, byItself] as unknown as [ConfigTree, ConfigTree];
  const settings = leafPaths(wanted).filter(
    (path) => JSON.stringify(valueAt(wanted, path)) !== JSON.stringify(valueAt(there, path)),
  );
  const parts = [
    ...(demo ? ['demo'] : []),
    ...(dataset === null ? [] : [`dataset=${written(dataset)}`]),
    ...(model === null ? [] : [`model=${written(model)}`]),
    ...settings.map((path) => `${path}=${written(textOf(valueAt(wanted, path)))}`),
  ];
  return { query: parts.length === 0 ? '' : `?${parts.join('&')}`, settings };
}

function setting(path: string, text: string): { values: ConfigTree } | { issues: readonly ConfigIssue[] } {
  try {
    return { values: layerFromPairs(SOURCE, [[path, text]]).values };
  } catch (error) {
    if (error instanceof ConfigError) return { issues: error.issues };
    throw error;
  }
}

/** `dmeo is nothing that a link can say; did you mean demo?` */
function unknownMessage(key: string): string {
  const meant = nearestOf(key.toLowerCase(), wordNames, 2) ?? nearestPath(key);
  return (
    `${key} is nothing that a link can say; ` +
    (meant === null ? `it can say ${wordNames.join(', ')}, and settings.` : `did you mean ${meant}?`)
  );
}

function textOf(value: ConfigValue | undefined): string {
  if (isSection(value)) return JSON.stringify(value);
  return Array.isArray(value) ? value.join(',') : String(value);
}

/** Percent-encoded, but for what an address may hold as it is: people read links. */
function written(text: string): string {
  return encodeURIComponent(text).replace(/%(2C|2F|3A)/g, (code) => decodeURIComponent(code));
}
