import type { Graph } from '../../graph/types.ts';
import { optimiserSlots } from '../optimiserSlots.ts';
import type { NetworkOptions } from '../types.ts';
import { STEP_WORDS } from './calls.ts';
import type { TraitsTable } from './kernels.ts';
import { kept, matrix } from './memory.ts';
import { compile } from './plan/compile.ts';
import { flatLayout } from './plan/parameters.ts';

export interface FitOptions extends Pick<NetworkOptions, 'trainable' | 'optimiser' | 'recompute'> {
  readonly images: number;
  readonly imageSize: number;
}

export interface Bytes {
  /** Of everything that a training step holds on the device. */
  readonly total: number;
  /** Of the largest part that is bound at once. */
  readonly largest: number;
}

/** What a training step takes, exactly: from its plan, without a device. */
export function compiledBytes(graph: Graph, traits: TraitsTable, options: FitOptions): Bytes {
  const { images, imageSize, trainable, optimiser, recompute = false } = options;
  const layout = flatLayout(graph, (spec) => trainable === 'all' || spec.node === graph.head);
  const plan = compile(graph, {
    images,
    imageSize,
    mode: 'train',
    trainable,
    recompute,
    momentum: null,
    layout,
    traits,
    step: kept('step', STEP_WORDS.words),
    labels: kept('labels', images),
    losses: kept('losses', images),
    maskOf: (node, channels) => ({ ...matrix(node, images, channels), kind: 'kept' }),
    keptTableOf: (node, channels) => ({ ...matrix(node, 4, channels), kind: 'kept' }),
  });
  const slots = optimiserSlots(optimiser).length;
  const parameters = layout.trained.floats * (2 + slots) + layout.frozen.floats + 2 * layout.running.floats;
  const sizes = [...plan.arena.offsets.keys(), layout.trained, layout.frozen].map(({ floats }) => floats * 4);
  return { total: plan.arena.bytes + 4 * parameters, largest: Math.max(...sizes) };
}
