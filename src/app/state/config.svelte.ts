import baseText from '../../../configs/base.yaml?raw';
import sampleText from '../../../configs/sample.yaml?raw';
import { ConfigError, LinkError, type ConfigIssue } from '../../config/errors.ts';
import { layerOf, type ConfigLayer } from '../../config/layer.ts';
import { resolveConfig, type ResolvedConfig } from '../../config/merge.ts';
import { commentsOf, parseLayer } from '../../config/parse.ts';
import type { Config } from '../../config/schema.ts';
import { leafPaths, mergeTrees, treeOf, type ConfigTree, type ConfigValue } from '../../config/tree.ts';
import { configToYaml } from '../../config/yamlOut.ts';
import { address } from './address.ts';
import { announce } from './announce.svelte.ts';
import { problems } from './problems.svelte.ts';

/**
 * The effective configuration: configs/base.yaml, over it configs/sample.yaml while the sample data set is loaded, a dropped
 * YAML file, the address, and what was changed on the page.
 */
const base = parseLayer(baseText, { file: 'configs/base.yaml' });
const sample = parseLayer(sampleText, { file: 'configs/sample.yaml' });
const PAGE = 'page';

/** What the address says, less what does not go with the rest of it: that is said, and left out. */
const linked = goingTogether(address.overrides);

/** Handed in by the data sets' state, which reads the configuration itself. */
let sampleLoaded = $state.raw<() => boolean>(() => false);
let file = $state.raw<ConfigLayer | null>(null);
let edits = $state.raw<ConfigTree>({});

/** Made when they are first asked for; they never change. */
const bare: { withSample?: Config; without?: Config } = {};

const below = (withSample: boolean): ConfigLayer[] => [
  base,
  ...(withSample ? [sample] : []),
  ...(file ? [file] : []),
  linked,
];
const resolved = $derived(resolve([...below(sampleLoaded()), layerOf(PAGE, edits)]));
const resolvedForSample = $derived(resolve([...below(true), layerOf(PAGE, edits)]));

export const config = {
  /** What counts now. */
  get effective(): Config {
    return resolved.config;
  },
  /** What a page has that was told nothing of settings. */
  byItself(withSample: boolean): Config {
    return withSample
      ? (bare.withSample ??= resolveConfig([base, sample]).config)
      : (bare.without ??= resolveConfig([base]).config);
  },
  /** What will count once the sample data set is loaded: importing it needs its size and seed. */
  get forSample(): Config {
    return resolvedForSample.config;
  },
  /** Name of the dropped YAML file; null where there is none. */
  get fileName(): string | null {
    return file?.source ?? null;
  },
  /** Number of settings changed on the page. */
  get editCount(): number {
    return leafPaths(edits).length;
  },
  /** `configs/base.yaml`, `configs/sample.yaml`, the dropped file's name, `address` or `page`. */
  sourceOf(path: string): string {
    return resolved.sources.get(path) ?? base.source;
  },
  /** The comment beside a setting in configs/base.yaml. */
  helpOf(path: string): string {
    help ??= commentsOf(baseText);
    return help.get(path) ?? '';
  },
  /** `data.source: sample`, in the address or in a dropped file; not because the sample is loaded already. */
  get asksForSample(): boolean {
    return resolved.config.data.source === 'sample' && config.sourceOf('data.source') !== sample.source;
  },
  /** A change made on the page, the strongest layer. Refused with what is wrong and what is allowed; then nothing changes. */
  edit(path: string, value: ConfigValue): readonly ConfigIssue[] {
    const next = mergeTrees(edits, treeOf(path, value));
    const issues = issuesWith([...below(sampleLoaded()), layerOf(PAGE, next)]);
    if (issues.length === 0) edits = next;
    return issues;
  },
  /** Takes back a change made on the page; without a path, all of them. */
  reset(path?: string): void {
    edits =
      path === undefined
        ? {}
        : leafPaths(edits)
            .filter((leaf) => leaf !== path)
            .reduce<ConfigTree>((tree, leaf) => mergeTrees(tree, treeOf(leaf, at(edits, leaf))), {});
  },
  /** A YAML text over the others. Throws `ConfigError`; then nothing changes. Edits on the page give way to it. */
  useText(text: string, name: string): void {
    const layer = parseLayer(text, { file: name });
    resolveConfig([...below(sampleLoaded()), layer]);
    file = layer;
    edits = {};
  },
  /** The text view: what differs from the layers below becomes edits on the page. Throws `ConfigError`; then nothing changes. */
  applyText(text: string): void {
    const under = resolveConfig(below(sampleLoaded())).config as unknown as ConfigTree;
    const { values, ...layer } = parseLayer(text, { file: 'this text' });
    const changed = leafPaths(values).filter(
      (path) => JSON.stringify(at(values, path)) !== JSON.stringify(at(under, path)),
    );
    const next = changed.reduce<ConfigTree>((tree, path) => mergeTrees(tree, treeOf(path, at(values, path))), {});
    resolveConfig([...below(sampleLoaded()), { ...layer, values: next }]);
    edits = next;
  },
  /** A dropped YAML file; a wrong one is shown as a problem. */
  async useFile(dropped: File): Promise<void> {
    try {
      config.useText(await dropped.text(), dropped.name);
      announce(`Settings from ${dropped.name} are in use.`);
    } catch (error) {
      problems.showError(error);
    }
  },
  forgetFile(): void {
    file = null;
  },
  /** The whole effective configuration; dropped back in, it gives the same run. */
  toYaml(): string {
    return configToYaml(resolved.config);
  },
  followSample(loaded: () => boolean): void {
    sampleLoaded = loaded;
  },
};

/** `tiny` has no pretrained weights: choosing it says so in the settings, and leaving it takes that back. */
export function chooseArchitecture(name: Config['model']['architecture']): void {
  if (name === 'tiny') config.edit('model.pretrained', false);
  else if (resolved.config.model.architecture === 'tiny') config.reset('model.pretrained');
  config.edit('model.architecture', name);
}

/** Read when the settings are first looked at: the page has enough to do when it opens. */
let help: ReadonlyMap<string, string> | undefined;

/** Each layer was checked when it came in; should they not go together, the page still has its defaults. */
function resolve(layers: readonly ConfigLayer[]): ResolvedConfig {
  return issuesWith(layers).length === 0 ? resolveConfig(layers) : resolveConfig([base]);
}

function issuesWith(layers: readonly ConfigLayer[]): readonly ConfigIssue[] {
  try {
    resolveConfig(layers);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.issues;
    throw error;
  }
}

function goingTogether(layer: ConfigLayer): ConfigLayer {
  const issues = issuesWith([base, layer]);
  if (issues.length === 0) return layer;
  problems.showError(new LinkError(issues));
  const kept = leafPaths(layer.values).filter((path) => !issues.some((issue) => issue.path === path));
  const values = kept.reduce<ConfigTree>((tree, path) => mergeTrees(tree, treeOf(path, at(layer.values, path))), {});
  return layerOf(layer.source, values);
}

function at(tree: ConfigTree, path: string): ConfigValue {
  return path.split('.').reduce<ConfigValue>((node, key) => (node as ConfigTree)[key] ?? null, tree);
}
