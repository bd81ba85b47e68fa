import { consumersOf } from '../../graph/flow.ts';
import { dropDropout, foldBatchNorms } from '../../graph/passes/index.ts';
import { withInputs } from '../../graph/passes/rewire.ts';
import type {
  ActivationNode,
  BatchNorm2dNode,
  Conv2dNode,
  Graph,
  GraphNode,
  Tensor,
  Weights,
} from '../../graph/types.ts';

/** A convolution whose kernel adds the bias and cuts off what lies outside of the activation's range before it writes a number. */
export interface FusedConv2dNode extends Conv2dNode {
  readonly fused: 'linear' | 'relu' | 'relu6';
}

/**
 * The network as it acts in eval mode, in as few passes over the maps as tfjs's kernels allow; the same numbers but for rounding. All
 * convolutions of the result are `FusedConv2dNode`s:
 * - batch norms are in the convolutions before them; the others (DenseNet's, before an activation) are depthwise convolutions of one pixel;
 * - relu after a convolution is a part of it;
 * - hardswish, x · relu6(x + 3) / 6, is (x/6) · relu6(6 · (x/6) + 3): the convolution gives sixths, a second one the factor;
 * - hardsigmoid, relu6(x + 3) / 6, is a bias of 3 more, and a sixth of that.
 *
 * Throws where a weight is missing.
 */
export function fused(graph: Graph, weights: Weights): { graph: Graph; weights: Weights } {
  const folded = foldBatchNorms(dropDropout(graph), weights);
  const consumers = consumersOf(folded.graph);
  const result = new Map(folded.weights);
  const nodes: GraphNode[] = [];
  const convolutions = new Map<string, FusedConv2dNode>();
  /** What stands for a node's output now. */
  const replaced = new Map<string, string>();

  const linear = (name: string): FusedConv2dNode | null => {
    const convolution = convolutions.get(name);
    return convolution?.fused === 'linear' ? convolution : null;
  };
  const put = (node: Omit<FusedConv2dNode, 'op'>): void => {
    const convolution: FusedConv2dNode = { op: 'conv2d', ...node };
    convolutions.set(node.name, convolution);
    nodes.push(convolution);
  };
  const change = (node: FusedConv2dNode, to: Partial<FusedConv2dNode>): void => {
    const changed = { ...node, ...to };
    convolutions.set(node.name, changed);
    nodes[nodes.indexOf(node)] = changed;
  };
  const set = (name: string, shape: readonly number[], data: Float32Array): void =>
    void result.set(name, { shape, data });
  const perChannel = (
    name: string,
    input: string,
    channels: number,
    activation: FusedConv2dNode['fused'],
    bias = true,
  ) => put({ ...onePixel(channels), name, inputs: [input], bias, fused: activation });

  const activate = ({ name, kind }: ActivationNode, convolution: FusedConv2dNode): void => {
    const { name: source, outChannels: channels } = convolution;
    const [weight, bias] = [`${source}.weight`, `${source}.bias`];
    const biases = convolution.bias ? result.get(bias)!.data : new Float32Array(channels);
    if (kind === 'relu') {
      change(convolution, { fused: 'relu' });
      replaced.set(name, source);
    } else if (kind === 'hardsigmoid') {
      set(
        bias,
        [channels],
        biases.map((value) => value + 3),
      );
      change(convolution, { fused: 'relu6', bias: true });
      set(`${name}.weight`, [channels, 1, 1, 1], new Float32Array(channels).fill(1 / 6));
      perChannel(name, source, channels, 'linear', false);
    } else {
      const { shape, data } = result.get(weight)!;
      set(
        weight,
        shape,
        data.map((value) => value / 6),
      );
      if (convolution.bias)
        set(
          bias,
          [channels],
          biases.map((value) => value / 6),
        );
      const factor = `${name}.factor`;
      set(`${factor}.weight`, [channels, 1, 1, 1], new Float32Array(channels).fill(6));
      set(`${factor}.bias`, [channels], new Float32Array(channels).fill(3));
      perChannel(factor, source, channels, 'relu6');
      nodes.push({ op: 'mul', name, inputs: [source, factor] });
    }
  };

  for (const original of folded.graph.nodes) {
    const node = withInputs(original, replaced);
    const [input] = node.inputs;
    if (node.op === 'conv2d') put({ ...node, fused: 'linear' });
    else if (node.op === 'batchNorm2d') {
      perChannel(node.name, input!, node.channels, 'linear');
      for (const [name, tensor] of asConvolution(node, result)) result.set(name, tensor);
    } else if (node.op === 'activation' && consumers.get(original.inputs[0]!) === 1 && linear(input!)) {
      activate(node, linear(input!)!);
    } else nodes.push(node);
  }
  return { graph: { ...folded.graph, nodes }, weights: result };
}

function onePixel(channels: number) {
  return { inChannels: channels, outChannels: channels, kernel: 1, stride: 1, padding: 0, groups: channels };
}

/** γ/√(σ²+ε) · x + (β − γμ/√(σ²+ε)), made in float64. */
function asConvolution({ name, channels, eps }: BatchNorm2dNode, weights: Weights): [string, Tensor][] {
  const read = (kind: string): Float32Array => {
    const tensor = weights.get(`${name}.${kind}`);
    if (!tensor) throw new Error(`The weights lack ${name}.${kind}.`);
    return tensor.data;
  };
  const [gamma, beta, mean, variance] = [read('weight'), read('bias'), read('running_mean'), read('running_var')];
  const scale = Float64Array.from(gamma, (value, c) => value / Math.sqrt(variance[c]! + eps));
  return [
    [`${name}.weight`, { shape: [channels, 1, 1, 1], data: Float32Array.from(scale) }],
    [`${name}.bias`, { shape: [channels], data: Float32Array.from(beta, (value, c) => value - scale[c]! * mean[c]!) }],
  ];
}
