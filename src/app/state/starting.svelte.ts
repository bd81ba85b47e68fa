import { parseLayer } from '../../config/parse.ts';
import { valueAt, type ConfigTree, type ConfigValue } from '../../config/tree.ts';
import type { RunSummary, StoredWeights } from '../../workers/protocol.ts';
import { versionName } from '../certificateWords.ts';
import { announce } from './announce.svelte.ts';
import { chooseArchitecture, config } from './config.svelte.ts';
import { model } from './model.svelte.ts';
import { testResults, type TestResult } from './testResults.svelte.ts';
import { versions } from './versions.svelte.ts';
import { weights } from './weights.svelte.ts';
import { ask } from './workers.svelte.ts';

/** A trained model that the next run may start from. */
export interface StartingModel {
  /** `v1.0.0`, or a run's id. */
  readonly id: string;
  /** Of a version: `v1.0.0`, or `v1.0.0 (certificate failed)`; of a run: ''. */
  readonly name: string;
  readonly kind: 'version' | 'run';
  readonly architecture: string;
  readonly dataset: string;
  readonly createdAt: number;
  /** Null: not judged on Test, or not known yet. */
  readonly test: TestResult | null;
}

/** Settings that must be as the model learnt them, or what it learnt does not hold. */
const carried = ['data.img_size', 'data.geometry'] as const;

/** The model whose weights were kept as the file that is chosen. */
let kept = $state.raw<{
  readonly modelId: string | null;
  readonly weightsId: string;
  readonly changes: readonly string[];
} | null>(null);
/** Weights files that were made from models listed here. */
let copies = $state.raw<ReadonlySet<string>>(new Set());

const models = $derived<readonly StartingModel[]>(
  [...versions.list.map(ofVersion), ...model.usable.map(ofRun)].toSorted((a, b) => b.createdAt - a.createdAt),
);
const inUse = $derived(kept !== null && kept.weightsId === weights.chosen?.id ? kept : null);

export const starting = {
  /** Versions and runs, newest first. */
  get models(): readonly StartingModel[] {
    return models;
  },
  /** Id of the chosen one; null where the next run starts from something else. */
  get chosenId(): string | null {
    return inUse?.modelId ?? null;
  },
  /** What was set so that it fits the chosen weights, in words. */
  get changes(): readonly string[] {
    return inUse?.changes ?? [];
  },
  isCopy(weightsId: string): boolean {
    return copies.has(weightsId);
  },
  /** Keeps the model's weights for the next run, and sets the network and the images' size as it learnt them. */
  async choose(id: string): Promise<boolean> {
    const summary = model.usable.find((one) => one.id === id);
    const settings = summary ? (summary.config as unknown as ConfigTree) : await settingsOfVersion(id);
    if (!settings) return false;
    const stored = await weights.take(summary ? 'the model' : id, () =>
      summary ? ask('model', 'keepWeights', { runId: id }) : ask('model', 'keepVersionWeights', { version: id }),
    );
    if (!stored) return false;
    copies = new Set([...copies, stored.id]);
    use(stored, id, settings);
    announce(`The next run starts from ${summary ? 'that run' : id}.`);
    return true;
  },
  /** A checkpoint's file, whichever network it is of, with the settings that stand in it. */
  async chooseFile(file: File, settings: ConfigTree): Promise<boolean> {
    const stored = await weights.take(file.name, () =>
      ask('model', 'importWeights', { file, name: file.name, architecture: null }),
    );
    if (!stored) return false;
    use(stored, null, settings);
    announce(`The next run starts from ${file.name}.`);
    return true;
  },
};

function use(stored: StoredWeights, modelId: string | null, settings: ConfigTree): void {
  const changes: string[] = [];
  const before = config.effective;
  if (before.model.architecture !== stored.architecture) {
    chooseArchitecture(stored.architecture);
    changes.push(`the network is ${stored.architecture} (was ${before.model.architecture})`);
  }
  for (const path of carried) {
    const wanted = valueAt(settings, path);
    const now = valueAt(before as unknown as ConfigTree, path);
    if (wanted === undefined || wanted === now || config.edit(path, wanted).length > 0) continue;
    changes.push(inWords(path, wanted, now));
  }
  kept = { modelId, weightsId: stored.id, changes };
}

function inWords(path: (typeof carried)[number], wanted: ConfigValue, now: ConfigValue | undefined): string {
  const plain = (value: ConfigValue | undefined): string => String(value).replace('_', ' ');
  return path === 'data.img_size'
    ? `images are ${plain(wanted)} pixels (were ${plain(now)})`
    : `images are prepared by ${plain(wanted)} (was ${plain(now)})`;
}

async function settingsOfVersion(version: string): Promise<ConfigTree | undefined> {
  const details = await versions.details(version);
  return details && parseLayer(details.config, { file: `config.yaml of ${version}` }).values;
}

function ofVersion(one: (typeof versions.list)[number]): StartingModel {
  const { version, architecture, dataset, createdAt, test } = one;
  return { id: version, name: versionName(one), kind: 'version', architecture, dataset: dataset.name, createdAt, test };
}

function ofRun({ id, config: settings, dataset, createdAt }: RunSummary): StartingModel {
  const { architecture } = settings.model;
  return { id, name: '', kind: 'run', architecture, dataset: dataset.name, createdAt, test: testResults.of(id) };
}
