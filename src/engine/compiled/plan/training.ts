import type { Graph } from '../../../graph/types.ts';
import { STEP_WORDS } from '../calls.ts';
import type { TraitsTable } from '../kernels.ts';
import { kept, keptMatrix } from '../memory.ts';
import { compile, type CompileOptions, type Plan } from './compile.ts';
import { flatLayout, type FlatLayout } from './parameters.ts';

/** The plan of a training step by itself, to be looked at: nothing runs it. */
export function trainingPlan(
  graph: Graph,
  traits: TraitsTable,
  step: Pick<CompileOptions, 'images' | 'imageSize' | 'trainable' | 'recompute' | 'precision'>,
  layout: FlatLayout = flatLayout(graph, step.trainable),
): Plan {
  return compile(graph, {
    ...step,
    mode: 'train',
    momentum: null,
    layout,
    traits,
    step: kept('step', STEP_WORDS.words),
    keptTableOf: (node, channels) => keptMatrix(`${node} table`, 4, channels),
  });
}
