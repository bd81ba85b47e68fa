import type { BatchNorm2dNode, Conv2dNode, Graph, GraphNode, Tensor, Weights } from '../types.ts';
import { without } from './rewire.ts';

/**
 * Folds every batch norm that alone reads a convolution into that convolution's weight and bias, as it acts in eval mode:
 * `w' = w · γ/√(σ²+ε)`, `b' = (b − μ) · γ/√(σ²+ε) + β`, in float64, rounded once to float32. Other batch norms stay
 * (DenseNet's norm → relu → conv). The convolution keeps its name; the result shares untouched tensors with `weights`.
 */
export function foldBatchNorms(graph: Graph, weights: Weights): { graph: Graph; weights: Weights } {
  const readers = new Map<string, number>();
  for (const node of graph.nodes) for (const input of node.inputs) readers.set(input, (readers.get(input) ?? 0) + 1);
  const byName = new Map(graph.nodes.map((node) => [node.name, node]));

  const folded = new Map<string, BatchNorm2dNode>();
  for (const node of graph.nodes) {
    const source = node.inputs[0];
    if (node.op !== 'batchNorm2d' || source === undefined) continue;
    if (byName.get(source)?.op === 'conv2d' && readers.get(source) === 1) folded.set(source, node);
  }

  const result = new Map(weights);
  for (const [name, norm] of folded) {
    const { weight, bias } = foldedConvolution(byName.get(name) as Conv2dNode, norm, weights);
    result.set(`${name}.weight`, weight);
    result.set(`${name}.bias`, bias);
    for (const kind of ['weight', 'bias', 'running_mean', 'running_var']) result.delete(`${norm.name}.${kind}`);
  }
  const norms = new Set([...folded.values()].map((norm) => norm.name));
  const smaller = without(graph, (node) => norms.has(node.name));
  const nodes = smaller.nodes.map((node): GraphNode =>
    node.op === 'conv2d' && folded.has(node.name) ? { ...node, bias: true } : node,
  );
  return { graph: { ...smaller, nodes }, weights: result };
}

function foldedConvolution(
  conv: Conv2dNode,
  norm: BatchNorm2dNode,
  weights: Weights,
): { weight: Tensor; bias: Tensor } {
  const read = (name: string): Tensor => {
    const tensor = weights.get(name);
    if (!tensor) throw new Error(`The weights lack ${name}.`);
    return tensor;
  };
  const weight = read(`${conv.name}.weight`);
  const bias = conv.bias ? read(`${conv.name}.bias`).data : null;
  const gamma = read(`${norm.name}.weight`).data;
  const beta = read(`${norm.name}.bias`).data;
  const mean = read(`${norm.name}.running_mean`).data;
  const variance = read(`${norm.name}.running_var`).data;

  const perChannel = weight.data.length / conv.outChannels;
  const newWeight = new Float32Array(weight.data.length);
  const newBias = new Float32Array(conv.outChannels);
  for (let c = 0; c < conv.outChannels; c++) {
    const scale = (gamma[c] as number) / Math.sqrt((variance[c] as number) + norm.eps);
    newBias[c] = ((bias?.[c] ?? 0) - (mean[c] as number)) * scale + (beta[c] as number);
    for (let i = c * perChannel; i < (c + 1) * perChannel; i++) newWeight[i] = (weight.data[i] as number) * scale;
  }
  return {
    weight: { shape: weight.shape, data: newWeight },
    bias: { shape: [conv.outChannels], data: newBias },
  };
}
