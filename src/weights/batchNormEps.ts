import type { Graph, Tensor } from '../graph/types.ts';

/**
 * A file trained with another batch-norm epsilon gives the same numbers in eval mode after this: with v the variance,
 * γ/√(v + file's eps) = γ'/√(v' + graph's eps) for v' = max(0, v + file's − graph's) and γ' = γ·√((v' + graph's)/(v + file's)).
 * γ changes only where v' would be negative. Without `batch_norm_eps` in the metadata the architecture's own is assumed.
 */
export function adaptBatchNormEps(
  graph: Graph,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>>,
): { readonly tensors: ReadonlyMap<string, Tensor>; readonly changed: boolean } {
  const epsOf = epsInFile(metadata['batch_norm_eps']);
  const result = new Map(tensors);
  let changed = false;
  for (const node of graph.nodes) {
    if (node.op !== 'batchNorm2d') continue;
    const eps = epsOf(node.name) ?? node.eps;
    const gamma = tensors.get(`${node.name}.weight`);
    const variance = tensors.get(`${node.name}.running_var`);
    if (eps === node.eps || !gamma || !variance) continue;
    const shifted = variance.data.map((v) => Math.max(0, v + eps - node.eps));
    const scaled = gamma.data.map((g, c) => {
      return g * Math.sqrt(((shifted[c] as number) + node.eps) / ((variance.data[c] as number) + eps));
    });
    result.set(`${node.name}.running_var`, { shape: variance.shape, data: shifted });
    result.set(`${node.name}.weight`, { shape: gamma.shape, data: scaled });
    changed = true;
  }
  return { tensors: result, changed };
}

function epsInFile(text: string | undefined): (node: string) => number | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text ?? 'null');
  } catch {
    value = null;
  }
  if (typeof value === 'number') return () => value;
  if (value === null || typeof value !== 'object') return () => undefined;
  return (node) => {
    const eps = (value as Record<string, unknown>)[node];
    return typeof eps === 'number' ? eps : undefined;
  };
}
