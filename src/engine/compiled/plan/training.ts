import type { Graph } from '../../../graph/types.ts';
import { STEP_WORDS } from '../calls.ts';
import type { TraitsTable } from '../kernels.ts';
import { kept, matrix } from '../memory.ts';
import { compile, type CompileOptions, type Plan } from './compile.ts';
import { flatLayout } from './parameters.ts';

/** The plan of a training step by itself, to be looked at: nothing runs it. */
export function trainingPlan(
  graph: Graph,
  traits: TraitsTable,
  step: Pick<CompileOptions, 'images' | 'imageSize' | 'trainable' | 'recompute'>,
): Plan {
  const { images, trainable } = step;
  return compile(graph, {
    ...step,
    mode: 'train',
    momentum: null,
    layout: flatLayout(graph, (spec) => trainable === 'all' || spec.node === graph.head),
    traits,
    step: kept('step', STEP_WORDS.words),
    labels: kept('labels', images),
    losses: kept('losses', images),
    maskOf: (node, channels) => ({ ...matrix(node, images, channels), kind: 'kept' }),
    keptTableOf: (node, channels) => ({ ...matrix(node, 4, channels), kind: 'kept' }),
  });
}
