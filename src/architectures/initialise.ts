import { parametersOfNode, sizeOf } from '../graph/parameters.ts';
import type { Graph, LinearNode, ParameterSpec, Tensor, Weights } from '../graph/types.ts';
import { fnv1a32, random, type Random } from '../random.ts';
import type { Architecture } from './types.ts';

/** Separates these draws from others of the same seed ("init"). */
const purpose = 0x696e6974;

/**
 * A new network's weights, by the rules of the architecture (torchvision's constructor). A tensor's values depend on the seed
 * and its name alone, not on what else the graph holds.
 */
export function initialWeights(graph: Graph, architecture: Architecture, seed: number): Weights {
  const weights = new Map<string, Tensor>();
  for (const node of graph.nodes) {
    for (const spec of parametersOfNode(node)) {
      const rule = node.op === 'linear' ? linearRule(node, spec, architecture) : ruleOf(spec, architecture);
      weights.set(spec.name, drawn(spec, seed, rule));
    }
  }
  return weights;
}

/** Weight and bias of a replaced head: torch's nn.Linear, whatever the architecture's own rule is. */
export function initialHead(graph: Graph, seed: number): Weights {
  const head = graph.nodes.find((node) => node.name === graph.head);
  if (head?.op !== 'linear') throw new Error(`${graph.architecture} has no linear layer named ${graph.head}.`);
  return new Map(parametersOfNode(head).map((spec) => [spec.name, drawn(spec, seed, torchLinear(head))]));
}

/** A constant, or a draw. */
type Rule = number | ((stream: Random) => number);

function drawn(spec: ParameterSpec, seed: number, rule: Rule): Tensor {
  const data = new Float32Array(sizeOf(spec.shape));
  if (typeof rule === 'number') return { shape: spec.shape, data: data.fill(rule) };
  const stream = random(seed, fnv1a32(spec.name), purpose);
  for (let i = 0; i < data.length; i++) data[i] = rule(stream);
  return { shape: spec.shape, data };
}

/** kaiming_uniform_(a=√5) of torch's nn.Linear comes to U(±1/√in), for the weight as for the bias. */
function torchLinear({ inFeatures }: LinearNode): Rule {
  const bound = 1 / Math.sqrt(inFeatures);
  return (stream) => stream.between(-bound, bound);
}

function linearRule(node: LinearNode, spec: ParameterSpec, { initialisation }: Architecture): Rule {
  if (spec.kind === 'bias') return initialisation.linearBias === 'zero' ? 0 : torchLinear(node);
  if (initialisation.linearWeight === 'torch') return torchLinear(node);
  const deviation = initialisation.linearWeight.normal;
  return (stream) => deviation * stream.normal();
}

/** Convolutions and batch norms; the two are told apart by the number of axes. */
function ruleOf({ kind, shape }: ParameterSpec, { initialisation }: Architecture): Rule {
  if (kind === 'bias' || kind === 'running_mean') return 0;
  if (kind === 'running_var' || shape.length === 1) return 1;
  // torch's fans: axis 0 (out) or 1 (in per group), times the kernel's area; depthwise fan_out is so C · k².
  const fan = (shape[initialisation.convolution === 'fan_in' ? 1 : 0] as number) * sizeOf(shape.slice(2));
  const deviation = Math.sqrt(2 / fan);
  return (stream) => deviation * stream.normal();
}
