import { architectures, buildGraph } from '../architectures/index.ts';
import { initialHead, initialWeights } from '../architectures/initialise.ts';
import { architectureNames, type ArchitectureName } from '../architectures/settings.ts';
import type { Config } from '../config/schema.ts';
import type { Graph } from '../graph/types.ts';
import type { FirstWeights, WeightsProgress } from '../training/inputs.ts';
import { importWeights, keptWeights, readImported } from '../weights/imported.ts';
import { assertTrainable, matchWeights } from '../weights/match.ts';
import { loadPretrained, type PretrainedOptions } from '../weights/pretrained.ts';
import type { WeightCache, WeightRecord } from '../weights/types.ts';
import type { Handlers } from './endpoint.ts';
import type { ModelCommands, StoredWeights } from './protocol.ts';

export interface FirstWeightsPlatform extends Pick<PretrainedOptions, 'cache' | 'base' | 'fetch' | 'parts'> {
  now(): number;
}

/** One graph of every architecture, to tell what a file is that does not fit; the head's size doesn't matter. */
const candidates = (): Graph[] => architectureNames.map((name) => buildGraph(name, 2));

/**
 * What a run starts from: an imported file, ImageNet weights, or a random initialisation, as asked for and never silently
 * another. Throws the named errors of `weights/`: no weights to be had, another architecture, folded batch norms.
 */
export async function firstWeights(
  wanted: {
    readonly config: Config;
    readonly graph: Graph;
    readonly weightsId: string | null;
    readonly labels: readonly string[];
  },
  platform: FirstWeightsPlatform,
  progress: WeightsProgress,
  signal?: AbortSignal,
): Promise<FirstWeights> {
  const { config, graph, weightsId, labels } = wanted;
  const { architecture, pretrained } = config.model;
  const { seed, layers } = config.training;
  // What a download that gave up had brought is not waited for any more.
  if (weightsId !== null || !pretrained) platform.parts?.clear();
  if (weightsId === null && !pretrained) {
    const weights = initialWeights(graph, architectures[architecture], seed);
    const warnings = layers === 'head' ? [FROZEN_AT_RANDOM] : [];
    return { weights, origin: { kind: 'random', seed }, warnings };
  }
  const { file, record } =
    weightsId === null
      ? await loadPretrained(architecture, {
          ...platform,
          now: platform.now(),
          ...(signal && { signal }),
          onProgress: ({ doneBytes, totalBytes, secondsLeft, waiting }) =>
            progress(doneBytes, totalBytes, { secondsLeft, waiting }),
        })
      : await readImported(weightsId, architecture, platform.cache);
  const matched = matchWeights(file, {
    graph,
    labels,
    initialHead: initialHead(graph, seed),
    candidates: candidates(),
  });
  assertTrainable(matched, layers);
  const { name, sha256, verified } = record;
  // A model of images like these: it has a head for labels that are known, and may have seen what is Test now.
  const forgetful = weightsId !== null && file.labels !== null && file.members === null;
  return {
    weights: matched.weights,
    batchNormEps: matched.batchNormEps,
    origin: { kind: weightsId === null ? 'pretrained' : 'file', name, sha256, verified },
    warnings: [...new Set([...record.warnings, ...matched.warnings, ...(forgetful ? [MEMBERS_UNKNOWN] : [])])],
  };
}

const MEMBERS_UNKNOWN =
  'This file does not say which images its model was tested with: they cannot be told apart, some of them may be trained on now, and ' +
  'the accuracy on Test may come out too high.';

const FROZEN_AT_RANDOM =
  'Only the head is trained, on a backbone of random weights: use pretrained weights, or train all layers.';

export type WeightsCommands = Pick<Handlers<ModelCommands>, 'importWeights' | 'weights' | 'deleteWeights'>;

/** The model worker's commands about weights files. */
export function weightsCommands(cache: WeightCache): WeightsCommands {
  return {
    importWeights: async ({ file, name, architecture, labels }) => {
      const given = { bytes: new Uint8Array(await file.arrayBuffer()), name, now: Date.now(), labels: labels ?? null };
      const network = {
        graph: architecture === null ? null : buildGraph(architecture, 2),
        candidates: candidates(),
        initialHead: (graph: Graph) => initialHead(graph, 0),
      };
      return stored(await importWeights(given, network, cache));
    },
    weights: async () => (await keptWeights(cache)).map(stored),
    deleteWeights: async ({ id }) => {
      await cache.delete(id);
      return null;
    },
  };
}

function stored(record: WeightRecord): StoredWeights {
  const { key, name, sha256, architecture, classes, bytes, warnings, url, verified } = record;
  return {
    id: key,
    name,
    sha256,
    architecture: architecture as ArchitectureName,
    classes: classes ?? 0,
    labels: record.labels ?? null,
    bytes,
    warnings,
    downloaded: url !== null,
    verified,
  };
}
