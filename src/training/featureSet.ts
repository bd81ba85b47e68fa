import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { DataSettings } from '../dataset/settings.ts';
import type { Dataset, ImageEntry } from '../dataset/types.ts';
import type { ChannelStatistics } from '../engine/normalise.ts';
import type { Engine } from '../engine/types.ts';
import { batchNormEpsOf } from '../graph/batchNormEps.ts';
import { backboneOf } from '../graph/head.ts';
import { parametersOf } from '../graph/parameters.ts';
import type { Graph, Tensor, Weights } from '../graph/types.ts';
import { turn } from '../turn.ts';
import { AUGMENTATION_FORM } from './augmentation.ts';
import type { AugmentationSettings } from './settings.ts';
import type { FeatureSet } from './types.ts';

/**
 * Part of every set's name; to be raised where a crop or a resize gives other bits than before: a run must not mix them. Where an engine does:
 * its `arithmetic`.
 */
const FEATURE_FORM = 2;

/** Images and how they are seen. */
export interface View {
  /** Indices into the data set. */
  readonly images: readonly number[];
  /** Those draws of which epoch vary them; null: as evaluation sees them. */
  readonly drawnAs: { readonly seed: number; readonly epoch: number; readonly settings: AugmentationSettings } | null;
}

export interface Backbone {
  readonly graph: Graph;
  /** Of `backboneHash`. */
  readonly hash: string;
  readonly engine: Pick<Engine, 'adapter' | 'arithmetic'>;
  readonly statistics: ChannelStatistics;
}

/** SHA-256 of everything but the head. ResNet50's 94 MB take half a second: the event loop gets a turn after each tensor. */
export async function backboneHash(graph: Graph, weights: Weights): Promise<string> {
  const hash = sha256.create();
  for (const { name, shape } of parametersOf(backboneOf(graph))) {
    const { data } = weights.get(name) as Tensor;
    hash.update(utf8ToBytes(`${name} ${shape.join()}\n`));
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    await turn();
  }
  return bytesToHex(hash.digest());
}

/**
 * Names what determines every bit of a view's features: pixels (files, resizes, draws), network, device, how numbers come about on it, and how many images go through
 * at once, since kernels for a GPU are chosen by shapes. An image is named by content and by index, which its draws depend on.
 */
export function featureSet(
  view: View,
  chunk: number,
  dataset: Dataset,
  { img_size, geometry }: Pick<DataSettings, 'img_size' | 'geometry'>,
  { graph, hash, engine, statistics }: Backbone,
): FeatureSet {
  const { backend, vendor, architecture, description } = engine.adapter;
  const { drawnAs } = view;
  const images = view.images.map((index) => `${index} ${(dataset.images[index] as ImageEntry).hash}`);
  const described = JSON.stringify([
    FEATURE_FORM,
    dataset.hash,
    images,
    chunk,
    img_size,
    drawnAs === null ? geometry : [dataset.cacheShortSide, AUGMENTATION_FORM, drawnAs],
    [statistics.mean, statistics.std],
    [graph.architecture, batchNormEpsOf(graph), hash],
    [backend, vendor, architecture, description, engine.arithmetic],
  ]);
  return { id: bytesToHex(sha256(utf8ToBytes(described))).slice(0, 32), dataset: dataset.hash };
}
