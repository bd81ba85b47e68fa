import type { Graph } from '../graph/types.ts';

/** `batch_norm_eps` of a weights file: one number where all batch norms agree, else a JSON object by node. */
export function batchNormEps(graph: Graph): string {
  const eps = graph.nodes.flatMap((node) => (node.op === 'batchNorm2d' ? [[node.name, node.eps] as const] : []));
  const [first] = eps;
  if (first === undefined) return '{}';
  return eps.every(([, value]) => value === first[1]) ? String(first[1]) : JSON.stringify(Object.fromEntries(eps));
}

/** The class labels in a weights file's metadata; null where it has none. */
export function classesOf(metadata: Readonly<Record<string, string>>): readonly string[] | null {
  try {
    const classes: unknown = JSON.parse(metadata['classes'] ?? 'null');
    return Array.isArray(classes) && classes.every((label) => typeof label === 'string') ? classes : null;
  } catch {
    return null;
  }
}
