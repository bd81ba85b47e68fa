import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { describeSetting } from '../config/describe.ts';
import { overridesFromFlags } from '../config/flags.ts';
import { layerOf, type ConfigLayer } from '../config/layer.ts';
import { resolveConfig, type ResolvedConfig } from '../config/merge.ts';
import { parseLayer } from '../config/parse.ts';
import { leafPaths, mergeTrees, treeOf, valueAt, type ConfigTree } from '../config/tree.ts';
import { asReadableFile } from './errors.ts';
import { projectRoot } from './root.ts';

/** Flags that settle the configuration, for `readFlags`. */
export const settingFlags = {
  config: { type: 'string' },
  epochs: { type: 'string' },
  'batch-size': { type: 'string' },
  'learning-rate': { type: 'string' },
  set: { type: 'string', multiple: true },
} as const;

export interface SettingFlags {
  readonly config?: string | undefined;
  readonly epochs?: string | undefined;
  readonly 'batch-size'?: string | undefined;
  readonly 'learning-rate'?: string | undefined;
  readonly set?: readonly string[] | undefined;
}

export interface Settings extends ResolvedConfig {
  /** Paths of the settings that the user named, in a file or by a flag. */
  readonly named: readonly string[];
  /** Those of them that a flag names. */
  readonly byFlag: readonly string[];
}

/**
 * configs/base.yaml, then `under` (what a model was trained with), then the file of `--config`, then the flags. Throws `ConfigError` with
 * file and line, `FileMissingError`.
 */
export async function settingsOf(flags: SettingFlags, under: ConfigLayer | null = null): Promise<Settings> {
  const base = join(projectRoot(), 'configs', 'base.yaml');
  const layers = [parseLayer(await readFile(base, 'utf8'), { file: 'configs/base.yaml' })];
  if (under !== null) layers.push(under);
  const named: ConfigLayer[] = [];
  const { config } = flags;
  if (config !== undefined && (await realpath(config).catch(() => '')) !== (await realpath(base))) {
    named.push(parseLayer(await readConfig(config), { file: config }));
  }
  const short = {
    epochs: 'training.epochs',
    'batch-size': 'data.batch_size',
    'learning-rate': 'training.learning_rate',
  };
  const pairs = Object.entries(short).flatMap(([flag, path]) => {
    const value = flags[flag as keyof typeof short];
    return value === undefined ? [] : [`${path}=${value}`];
  });
  const fromFlags = overridesFromFlags([...pairs, ...(flags.set ?? [])]);
  named.push(fromFlags);
  return {
    ...resolveConfig([...layers, ...named]),
    byFlag: leafPaths(fromFlags.values),
    named: [...new Set(named.flatMap(({ values }) => leafPaths(values)))],
  };
}

/** What belongs to the place where a model was trained, not to the model. */
const ofThePlace =
  /^(output\.(version|dir|models_dir|ios_dir)|data\.(source|raw_dir|train_dir|test_dir|kaggle_dataset|num_workers)|training\.(device|tune|verbose))$/;

/** The configuration inside a checkpoint or an exported weights file, as a layer; settings that this version doesn't know are left out. */
export function layerOfModel(name: string, config: ConfigTree): ConfigLayer {
  const kept = leafPaths(config).filter((path) => describeSetting(path) !== null && !ofThePlace.test(path));
  const values = kept.reduce<ConfigTree>((tree, path) => {
    const value = valueAt(config, path);
    return value === undefined ? tree : mergeTrees(tree, treeOf(path, value));
  }, {});
  return layerOf(name, values);
}

async function readConfig(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw asReadableFile(
      error,
      'configuration file',
      path,
      'Check how it is written; configs/base.yaml is used where no --config is given, configs/sample.yaml is the quick look.',
    );
  }
}
