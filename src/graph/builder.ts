import type { ActivationKind, Graph, GraphNode } from './types.ts';

/**
 * Builds a graph node by node. Every method takes the name of the new node and of its inputs, checks that they fit, and
 * returns the new node's name, so that a network reads like torch's forward function.
 * A misfit is a mistake in an architecture, not the user's: it throws a plain Error that names the node.
 */
export interface GraphBuilder {
  input(name: string, channels: number): string;
  /** Padding defaults to `floor(kernel / 2)` on every side, stride and groups to 1, bias to none. */
  conv2d(name: string, input: string, outChannels: number, options: ConvOptions): string;
  /** Torch's defaults: eps 1e-5, momentum 0.1. */
  batchNorm2d(name: string, input: string, options?: { eps?: number; momentum?: number }): string;
  activation(name: string, input: string, kind: ActivationKind): string;
  maxPool2d(name: string, input: string, options: { kernel: number; stride: number; padding: number }): string;
  avgPool2d(name: string, input: string, options: { kernel: number; stride: number }): string;
  globalAvgPool(name: string, input: string): string;
  flatten(name: string, input: string): string;
  linear(name: string, input: string, outFeatures: number): string;
  add(name: string, a: string, b: string): string;
  /** `scale` is `[N,1,1,C]`. */
  mul(name: string, input: string, scale: string): string;
  concat(name: string, inputs: readonly string[]): string;
  dropout(name: string, input: string, p: number): string;
  /** Checks the whole: the last node gives `[N, classes]`, `head` is a linear node, `features` a spatial one. */
  finish(graph: { architecture: string; classes: number; head: string; features: string }): Graph;
}

export interface ConvOptions {
  readonly kernel: number;
  readonly stride?: number;
  readonly padding?: number;
  readonly groups?: number;
  readonly bias?: boolean;
}

/** `map`: `[N,H,W,C]`; `pooled`: `[N,1,1,C]`; `flat`: `[N,C]`. */
interface Extent {
  readonly form: 'map' | 'pooled' | 'flat';
  readonly channels: number;
}

export function graphBuilder(): GraphBuilder {
  const nodes: GraphNode[] = [];
  const extents = new Map<string, Extent>();

  function extentOf(node: string, input: string): Extent {
    const extent = extents.get(input);
    if (!extent) throw new Error(`${node}: its input ${input} does not exist (yet).`);
    return extent;
  }
  function spatial(node: string, input: string): Extent {
    const extent = extentOf(node, input);
    if (extent.form === 'flat') throw new Error(`${node}: its input ${input} has no height and width.`);
    return extent;
  }
  function push(node: GraphNode, extent: Extent): string {
    if (extents.has(node.name)) throw new Error(`Two nodes are named ${node.name}.`);
    if (!Number.isInteger(extent.channels) || extent.channels < 1) {
      throw new Error(`${node.name}: ${extent.channels} channels.`);
    }
    nodes.push(node);
    extents.set(node.name, extent);
    return node.name;
  }

  return {
    input: (name, channels) => push({ op: 'input', name, inputs: [], channels }, { form: 'map', channels }),

    conv2d(
      name,
      input,
      outChannels,
      { kernel, stride = 1, padding = Math.floor(kernel / 2), groups = 1, bias = false },
    ) {
      const { form, channels: inChannels } = spatial(name, input);
      if (inChannels % groups !== 0 || outChannels % groups !== 0) {
        throw new Error(`${name}: ${inChannels} → ${outChannels} channels do not split into ${groups} groups.`);
      }
      if (form === 'pooled' && kernel !== 1) throw new Error(`${name}: only 1×1 convolutions fit a pooled input.`);
      return push(
        { op: 'conv2d', name, inputs: [input], inChannels, outChannels, kernel, stride, padding, groups, bias },
        { form, channels: outChannels },
      );
    },

    batchNorm2d(name, input, { eps = 1e-5, momentum = 0.1 } = {}) {
      const extent = spatial(name, input);
      return push({ op: 'batchNorm2d', name, inputs: [input], channels: extent.channels, eps, momentum }, extent);
    },

    activation: (name, input, kind) => push({ op: 'activation', name, inputs: [input], kind }, extentOf(name, input)),

    maxPool2d: (name, input, options) =>
      push({ op: 'maxPool2d', name, inputs: [input], ...options }, spatial(name, input)),

    avgPool2d: (name, input, options) =>
      push({ op: 'avgPool2d', name, inputs: [input], ...options }, spatial(name, input)),

    globalAvgPool: (name, input) =>
      push({ op: 'globalAvgPool', name, inputs: [input] }, { ...spatial(name, input), form: 'pooled' }),

    flatten(name, input) {
      const { form, channels } = extentOf(name, input);
      if (form !== 'pooled') throw new Error(`${name}: flatten takes a pooled input.`);
      return push({ op: 'flatten', name, inputs: [input] }, { form: 'flat', channels });
    },

    linear(name, input, outFeatures) {
      const { form, channels: inFeatures } = extentOf(name, input);
      if (form !== 'flat') throw new Error(`${name}: a linear layer takes a flat input.`);
      return push(
        { op: 'linear', name, inputs: [input], inFeatures, outFeatures, bias: true },
        { form, channels: outFeatures },
      );
    },

    add(name, a, b) {
      const extent = extentOf(name, a);
      const other = extentOf(name, b);
      if (extent.form !== other.form || extent.channels !== other.channels) {
        throw new Error(`${name}: ${a} and ${b} differ in shape.`);
      }
      return push({ op: 'add', name, inputs: [a, b] }, extent);
    },

    mul(name, input, scale) {
      const extent = spatial(name, input);
      const other = extentOf(name, scale);
      if (other.form !== 'pooled' || other.channels !== extent.channels) {
        throw new Error(`${name}: ${scale} is not [N,1,1,${extent.channels}].`);
      }
      return push({ op: 'mul', name, inputs: [input, scale] }, extent);
    },

    concat(name, inputs) {
      const parts = inputs.map((input) => spatial(name, input));
      const form = parts[0]?.form;
      if (!form || parts.some((part) => part.form !== form)) throw new Error(`${name}: its inputs differ in form.`);
      const channels = parts.reduce((sum, part) => sum + part.channels, 0);
      return push({ op: 'concat', name, inputs: [...inputs] }, { form, channels });
    },

    dropout: (name, input, p) => push({ op: 'dropout', name, inputs: [input], p }, extentOf(name, input)),

    finish({ architecture, classes, head, features }) {
      const last = nodes.at(-1);
      const extent = last && extents.get(last.name);
      if (nodes[0]?.op !== 'input') throw new Error(`${architecture}: the first node is not the input.`);
      if (extent?.form !== 'flat' || extent.channels !== classes) {
        throw new Error(`${architecture}: the last node does not give [N, ${classes}].`);
      }
      if (nodes.find((node) => node.name === head)?.op !== 'linear') {
        throw new Error(`${architecture}: its head ${head} is not a linear layer.`);
      }
      if (extents.get(features)?.form !== 'map') throw new Error(`${architecture}: ${features} is not a feature map.`);
      return { architecture, classes, nodes, head, features };
    },
  };
}
