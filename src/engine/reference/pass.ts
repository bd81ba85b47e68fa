import * as tf from '@tensorflow/tfjs';
import { consumersOf, differentiatedOf } from '../../graph/flow.ts';
import type { Graph, GraphNode } from '../../graph/types.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { forwardOf } from './ops/index.ts';
import type { Forward, ForwardResult, NodeParameters } from './ops/types.ts';

/** What is known of a graph before any image comes. */
export interface Plan {
  readonly graph: Graph;
  /** How many nodes read each node's output. */
  readonly consumers: ReadonlyMap<string, number>;
  /** Nodes whose output's gradient is wanted: those with trainable parameters, and all that follow them. */
  readonly differentiated: ReadonlySet<string>;
  /** What each node does. */
  readonly ops: (node: GraphNode) => Forward<GraphNode>;
}

export function planOf(graph: Graph, trainableNodes: ReadonlySet<string>, ops: Plan['ops'] = forwardOf): Plan {
  return { graph, consumers: consumersOf(graph), differentiated: differentiatedOf(graph, trainableNodes), ops };
}

export interface Statistics {
  readonly node: string;
  /** `[2,C]`: mean, biased variance. */
  readonly moments: tf.Tensor;
  readonly count: number;
}

interface TapeEntry {
  readonly node: GraphNode;
  readonly saved: readonly tf.Tensor[];
  readonly inputShapes: readonly (readonly number[])[];
}

export interface ForwardPass {
  readonly output: tf.Tensor;
  readonly tape: readonly TapeEntry[];
  readonly statistics: readonly Statistics[];
  /** Holds all of the above; `ledger.disposeAll()` is the way out. */
  readonly ledger: Ledger;
}

export interface ForwardOptions {
  readonly training: boolean;
  /** Keep what the backward pass reads. */
  readonly record: boolean;
  readonly parameters: (node: string) => NodeParameters;
  readonly uniform: (node: string) => () => number;
  /** Awaited after each node, where memory is about to be highest. */
  readonly onNode: () => Promise<void>;
}

export const inEvalMode: Pick<ForwardOptions, 'training' | 'record' | 'uniform'> = {
  training: false,
  record: false,
  uniform: () => () => {
    throw new Error('Dropout draws nothing in eval mode.');
  },
};

/**
 * Runs the graph on `x` `[N,H,W,C]` (which it frees). An activation lives until its last consumer has run, or, where a backward
 * step reads it, until that step has run. In head-only mode nothing but the head is differentiated, so nothing is kept.
 */
export async function forward(plan: Plan, x: tf.Tensor, options: ForwardOptions): Promise<ForwardPass> {
  const ledger = createLedger();
  const values = new Map<string, tf.Tensor>();
  const tape: TapeEntry[] = [];
  const statistics: Statistics[] = [];
  const { nodes } = plan.graph;
  const last = nodes[nodes.length - 1]!.name;
  try {
    for (const node of nodes) {
      const uses = (plan.consumers.get(node.name) ?? 0) + (node.name === last ? 1 : 0);
      if (node.op === 'input') {
        values.set(node.name, x);
        ledger.hold(x, uses);
        continue;
      }
      const inputs = node.inputs.map((name) => values.get(name)!);
      const parameters = options.parameters(node.name);
      const { training } = options;
      const result = tf.tidy(
        () => plan.ops(node)({ node, inputs, parameters, training, uniform: options.uniform(node.name) }) as never,
      ) as ForwardResult;
      values.set(node.name, result.output);
      ledger.hold(result.output, uses);
      if (options.record && plan.differentiated.has(node.name)) {
        tape.push({ node, saved: result.saved, inputShapes: inputs.map((input) => input.shape) });
        for (const tensor of result.saved) ledger.hold(tensor);
      } else {
        const known = new Set<tf.Tensor>([...inputs, result.output]);
        for (const tensor of result.saved) if (!known.has(tensor)) tensor.dispose();
      }
      if (result.statistics) {
        const { moments, count } = result.statistics;
        ledger.hold(moments);
        statistics.push({ node: node.name, moments, count });
      }
      await options.onNode();
      for (const input of inputs) ledger.release(input);
    }
  } catch (error) {
    ledger.disposeAll();
    throw error;
  }
  return { output: values.get(last)!, tape, statistics, ledger };
}
