import type * as tf from '@tensorflow/tfjs';
import type { Graph, ParameterSpec, Weights } from '../../graph/types.ts';
import type { Host } from './host.ts';
import { uploadParameters, type DeviceParameters } from './parameters.ts';
import { forward, inEvalMode, planOf, type ForwardOptions, type ForwardPass, type Plan } from './pass.ts';
import { createTurns, type Turns } from './turns.ts';

/** A graph with its parameters on the device, some of them trained. */
export interface Runner extends Pick<Turns, 'inTurn' | 'afterNode'> {
  readonly plan: Plan;
  readonly parameters: DeviceParameters;
  /** Frees `x`. */
  forward(x: tf.Tensor, options: Pick<ForwardOptions, 'training' | 'record' | 'uniform'>): Promise<ForwardPass>;
  /** The last output of the runner's plan, or of one that is a part of it, in eval mode. Within `inTurn`; frees `x`. */
  outputOf(x: tf.Tensor, of?: Plan): Promise<Float32Array>;
  /** `also`: frees what else the network holds. */
  dispose(also: () => void): void;
}

export function createRunner(
  host: Host,
  graph: Graph,
  weights: Weights,
  trainable: (spec: ParameterSpec) => boolean,
): Runner {
  host.enter();
  const parameters = uploadParameters(graph, weights, trainable);
  const trained = new Set([...parameters.all.values()].flatMap((p) => (p.state ? [p.spec.node] : [])));
  const plan = planOf(graph, trained);
  const { inTurn, afterNode, dispose } = createTurns(host);
  const through = (of: Plan, x: tf.Tensor, options: Pick<ForwardOptions, 'training' | 'record' | 'uniform'>) => {
    host.enter();
    return forward(of, x, { ...options, parameters: parameters.ofNode, onNode: afterNode });
  };
  return {
    plan,
    parameters,
    inTurn,
    afterNode,
    forward: (x, options) => through(plan, x, options),
    async outputOf(x, of = plan) {
      const pass = await through(of, x, inEvalMode);
      try {
        return (await pass.output.data()) as Float32Array;
      } finally {
        pass.ledger.disposeAll();
      }
    },
    dispose: (also) =>
      dispose(() => {
        parameters.dispose();
        also();
      }),
  };
}
