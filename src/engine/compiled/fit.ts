import type { Graph } from '../../graph/types.ts';
import { optimiserSlots } from '../optimiserSlots.ts';
import type { StepBytes, StepShape } from '../types.ts';
import type { TraitsTable } from './kernels.ts';
import { bytesOf } from './memory.ts';
import { flatLayout } from './plan/parameters.ts';
import { trainingPlan } from './plan/training.ts';

/** What a training step takes, from its plan, without a device; the pictures that it is made of, 0.2 MB each at 224 px, come on top. */
export function compiledBytes(graph: Graph, traits: TraitsTable, options: StepShape): StepBytes {
  const { images, imageSize, trainable, optimiser, recompute = false, precision = 'float32' } = options;
  const layout = flatLayout(graph, trainable);
  const plan = trainingPlan(graph, traits, { images, imageSize, trainable, recompute, precision }, layout);
  const slots = optimiserSlots(optimiser).length;
  const parameters = layout.trained.floats * (2 + slots) + layout.frozen.floats + 2 * layout.running.floats;
  const kepts = 4 * Math.max(layout.trained.floats, layout.frozen.floats);
  const largest = [...plan.arena.offsets.keys()].reduce((most, memory) => Math.max(most, bytesOf(memory)), 0);
  return {
    total: plan.arena.bytes + 4 * parameters,
    binding: Math.max(largest, kepts),
    // All of the arena is one buffer.
    buffer: Math.max(plan.arena.bytes, kepts),
  };
}
