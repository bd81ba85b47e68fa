import type { Graph } from '../../../graph/types.ts';
import { inferShapes } from '../../../graph/shapes.ts';
import { parametersOfNode } from '../../../graph/parameters.ts';
import type { KernelTraits, TraitsTable } from '../kernels.ts';
import type { Precision } from '../../types.ts';
import type { Call } from '../calls.ts';
import { kept, matrix, padded, type Element, type Matrix, type Memory, type View } from '../memory.ts';
import { aliveBytes, leastBytes, livesOf, placed, type Arena, type Life } from './arena.ts';
import { backward } from './backward.ts';
import { createDraft } from './draft.ts';
import { forward, type Mask } from './forward.ts';
import { recomputed } from './recompute.ts';
import type { FlatLayout } from './parameters.ts';
import { summedTogether } from './slices.ts';
import type { PlannedCall } from './types.ts';

export interface CompileOptions {
  readonly images: number;
  readonly imageSize: number;
  /** `train`: forward, loss, backward. `predict`: logits, eval mode. `features`: what the head reads, eval mode. */
  readonly mode: 'train' | 'predict' | 'features';
  /** With `head` all but the head is in eval mode, and stays as it is. */
  readonly trainable: 'all' | 'head';
  /** Some outputs are made again in the backward pass instead of kept: less memory, more time, the same numbers. */
  readonly recompute: boolean;
  /**
   * In which maps and their gradients lie in memory during a training step; absent: float32, as all other plans. What is one row an image
   * (features, squeezed maps, logits) is float32 always: it is little, and sums lie in it.
   */
  readonly precision?: Precision;
  /** Replaces every batch norm's momentum. */
  readonly momentum: number | null;
  readonly layout: FlatLayout;
  readonly traits: TraitsTable;
  readonly step: Memory;
  /** Of the loss; as `CrossEntropy` has them. */
  readonly smoothing?: number;
  readonly classWeights?: Memory | null;
  /** A norm's table in eval mode, kept: one for all plans of a network. */
  readonly keptTableOf: (node: string, channels: number) => Matrix;
}

/**
 * A step as data: which kernels run on what, in which order, and where everything lies. Made once for a graph, a batch and a size; runs
 * any number of times. Knows nothing of WGSL.
 */
export interface Plan {
  readonly images: number;
  readonly imageSize: number;
  readonly mode: CompileOptions['mode'];
  /** To be run when the weights have changed: tables of eval mode. */
  readonly once: readonly PlannedCall[];
  readonly calls: readonly PlannedCall[];
  /** First call of the backward pass; their number where there is none. */
  readonly backwardFrom: number;
  /** `[images · size · size, channels]`, normalised; whoever runs the plan fills it. */
  readonly input: Matrix;
  /** As large, free from the first call on: for what comes before the input. */
  readonly reduced: Matrix;
  /** Class indices, int32 bits, kept; whoever runs the plan fills them. */
  readonly labels: Memory;
  /** Kept memories that no other plan reads or writes, the labels among them: they go with it. */
  readonly own: readonly Memory[];
  /** Factors of the dropout nodes; whoever runs the plan draws them. */
  readonly masks: readonly Mask[];
  /** Logits, or features; there after the last call. */
  readonly output: View;
  readonly outputChannels: number;
  readonly arena: Arena;
  /** The most bytes that live at once. */
  readonly leastBytes: number;
}

/**
 * @throws ImageTooSmallError; Error where the graph has something that this engine has no kernels for (`isSupported`).
 */
export function compile(graph: Graph, options: CompileOptions): Plan {
  const { images, imageSize, mode, trainable, layout, traits, precision = 'float32' } = options;
  const elementOf = (rows: number): Element =>
    precision === 'float16' && mode === 'train' && rows > images ? 'f16' : 'f32';
  const shapes = inferShapes(graph, imageSize);
  const draft = createDraft(traits);
  const once = createDraft(traits);
  const first = graph.nodes[0]!;
  if (first.op !== 'input') throw new Error(`${graph.architecture} doesn't begin with its input.`);
  const input = matrix('images', images * imageSize * imageSize, padded(first.channels));
  const labels = kept(`labels of ${images}`, images);
  const losses = kept(`losses of ${images}`, images);
  const reduced: Matrix = { ...input, name: 'reduced images' };
  const head = graph.nodes.find((node) => node.name === graph.head)!;
  const last = mode === 'features' ? head.inputs[0]! : graph.nodes.at(-1)!.name;
  const pass = forward(graph, shapes, draft, once, last, {
    images,
    input,
    elementOf,
    training: mode === 'train' && trainable === 'all',
    momentum: options.momentum,
    layout,
    keptTableOf: options.keptTableOf,
  });
  const { source } = pass.values.get(last)!;
  let output = source.view;
  if (source.norm !== null || source.activation !== 'none' || source.factor !== null) {
    const out = matrix(`${last} output`, images, source.view.channels);
    output = { matrix: out, first: 0, channels: out.channels };
    draft.emit({ kind: 'materialise', node: last, images, pixels: 1, source, out: output, accumulate: false });
  }

  const backwardFrom = draft.calls.length;
  if (mode === 'train') {
    const gradient = matrix('logits gradient', images, padded(graph.classes));
    const dy: View = { matrix: gradient, first: 0, channels: gradient.channels };
    draft.emit({
      kind: 'crossEntropy',
      node: last,
      logits: output,
      rows: images,
      classes: graph.classes,
      labels,
      classWeights: options.classWeights ?? null,
      smoothing: options.smoothing ?? 0,
      step: options.step,
      losses,
      gradient: dy,
    });
    const trained =
      trainable === 'head'
        ? [graph.head]
        : graph.nodes.filter((node) => parametersOfNode(node).some((spec) => spec.trainable)).map(({ name }) => name);
    backward(graph, draft, pass, { images, layout, trained: new Set(trained), elementOf, dy });
  }
  const all = options.recompute ? recomputed(draft.calls, backwardFrom) : draft.calls;
  const { calls, lives, arena } = arranged(all, traits, [input, reduced], [output.matrix]);
  return {
    images,
    imageSize,
    mode,
    once: once.calls,
    calls,
    backwardFrom,
    input,
    reduced,
    labels,
    own: [labels, losses, ...pass.masks.map(({ matrix: mask }) => mask)],
    masks: pass.masks,
    output,
    outputChannels: shapes.get(last)!.at(-1)!,
    arena,
    leastBytes: leastBytes(lives),
  };
}

/** Of the most that lives at once: room for what waits so that several can be served together. Where it is tight, less fits in. */
const ROOMS = [1, 0.98, 0.96, 0.93, 0.9, 0.8];
/** What such waiting may cost in the arena. */
const WORTH = 1.03;

/** Everything has a place, and slices of filters are added up together as far as that takes no more memory. */
function arranged(
  calls: readonly PlannedCall[],
  traits: TraitsTable,
  before: readonly Memory[],
  after: readonly Memory[],
): { calls: readonly PlannedCall[]; lives: readonly Life[]; arena: Arena } {
  const placedOf = (these: readonly PlannedCall[]) => {
    const lives = livesOf(these, before, after);
    return { calls: these, lives, arena: placed(lives) };
  };
  const apart = placedOf(calls);
  const alive = aliveBytes(apart.lives, calls.length);
  const most = leastBytes(apart.lives);
  for (const share of ROOMS) {
    const together = placedOf(summedTogether(calls, traits, alive, share * most));
    if (together.arena.bytes <= WORTH * apart.arena.bytes) return together;
  }
  return apart;
}

/** Whether this engine has kernels for all of a graph. */
export function isSupported(graph: Graph): boolean {
  const channels = new Map<string, number>();
  const maps = new Set<string>();
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => channels.get(name)!);
    if (node.op === 'input' || (node.op !== 'globalAvgPool' && maps.has(node.inputs[0]!))) maps.add(node.name);
    switch (node.op) {
      case 'softmax':
      case 'channelAffine':
        return false;
      case 'conv2d':
        if (node.groups > 1 && !(node.groups === node.inChannels && node.groups === node.outChannels)) return false;
        channels.set(node.name, node.outChannels);
        break;
      case 'concat':
        if (inputs.some((count) => count % 4 !== 0)) return false;
        channels.set(
          node.name,
          inputs.reduce((sum, count) => sum + count, 0),
        );
        break;
      case 'activation':
        // Of 0 it makes ½, also in the channels that are padding.
        if (node.kind === 'hardsigmoid' && inputs[0]! % 4 !== 0) return false;
        channels.set(node.name, inputs[0]!);
        break;
      case 'dropout':
        // A factor is one a channel.
        if (node.p > 0 && maps.has(node.name)) return false;
        channels.set(node.name, inputs[0]!);
        break;
      case 'input':
        channels.set(node.name, node.channels);
        break;
      case 'linear':
        channels.set(node.name, node.outFeatures);
        break;
      default:
        channels.set(node.name, inputs[0]!);
    }
  }
  return true;
}

export interface CallCost {
  readonly call: Call;
  readonly flops: number;
  readonly bytes: number;
}

/** What each call costs, by its kernel's own model. */
export function costsOf(calls: readonly PlannedCall[], traits: TraitsTable): CallCost[] {
  return calls.map(({ call }) => ({ call, ...(traits[call.kind] as KernelTraits<Call>).cost(call) }));
}
