import type { Optimiser } from '../reference/optimisers/types.ts';
import type { Work } from './device/commands.ts';
import type { Dispatch } from './kernels.ts';
import { kept, type Memory } from './memory.ts';
import type { FlatLayout } from './plan/parameters.ts';
import { CLIP_WORDS, normPartials } from './update.ts';
import { commitStatistics, gradientNorm, optimiserStep } from './wgsl/update.ts';

/**
 * What follows a step's calls: the gradients' norm, the optimiser, the running statistics. `maxNorm`: null where nothing is clipped;
 * `scaled`: gradients are of the loss times a scale.
 */
export function updateWorks(
  { trained, gradients, running, pending }: FlatLayout,
  optimiser: Optimiser,
  slots: readonly Memory[],
  step: Memory,
  maxNorm: number | null,
  scaled: boolean,
): Work[] {
  const range = { begin: 0, end: trained.floats };
  const clip = kept('clipping', CLIP_WORDS.words);
  const partials = kept('squares', normPartials(range));
  const stepOf = {
    value: trained,
    gradient: gradients,
    slots,
    ...range,
    step,
    clip: maxNorm === null && !scaled ? null : clip,
  };
  const works = (dispatches: readonly Dispatch[], floats: number): Work[] =>
    dispatches.map((dispatch, i) => ({
      dispatch,
      node: 'update',
      kind: dispatch.program.name,
      weight: trained.floats,
      cost: { flops: 0, bytes: i === 0 ? 4 * floats : 0 },
    }));
  return [
    ...works(gradientNorm({ gradient: gradients, ...range, maxNorm, scaled, partials, clip, step }), trained.floats),
    ...works(optimiserStep(stepOf, optimiser), (3 + 2 * slots.length) * trained.floats),
    ...works(commitStatistics({ running, pending, step }), 2 * running.floats),
  ];
}
