import { backboneOf } from '../../graph/head.ts';
import { parametersOf } from '../../graph/parameters.ts';
import type { Graph, Weights } from '../../graph/types.ts';
import { createFrozen, type Frozen } from './frozen.ts';
import type { Host } from './host.ts';
import { dataOf } from './parameters.ts';
import type { Turns } from './turns.ts';

/** Everything but the head, while that alone is trained. The device has the folded weights only; what they were made of stays here. */
export interface FrozenBackbone extends Frozen {
  /** A copy in torch's layout. */
  readWeights(): Weights;
  /** What isn’t the backbone's is left alone. @throws Error as `createFrozen`, and nothing is changed. */
  writeWeights(weights: Weights): void;
}

export function createFrozenBackbone(
  host: Host,
  graph: Graph,
  weights: Weights,
  turns: Pick<Turns, 'afterNode'>,
): FrozenBackbone {
  const backbone = backboneOf(graph);
  const specs = parametersOf(backbone);
  let current = createFrozen(host, backbone, weights, turns);
  let kept = copied(weights);

  function copied(from: Weights): Weights {
    return new Map(
      specs.map((spec) => [spec.name, { shape: spec.shape, data: dataOf(from, spec.name, spec).slice() }]),
    );
  }

  return {
    output: (x) => current.output(x),
    readWeights: () => copied(kept),
    writeWeights(next) {
      const changed = specs.some((spec) => {
        const own = kept.get(spec.name)!.data;
        return dataOf(next, spec.name, spec).some((value, i) => !Object.is(value, own[i]));
      });
      if (!changed) return;
      const fresh = createFrozen(host, backbone, next, turns);
      current.dispose();
      current = fresh;
      kept = copied(next);
    },
    dispose: () => current.dispose(),
  };
}
