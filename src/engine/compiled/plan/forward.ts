import { isDepthwise } from '../../../graph/convolution.ts';
import type { BatchNorm2dNode, Conv2dNode, DropoutNode, Graph, GraphNode, LinearNode } from '../../../graph/types.ts';
import type { NodeShape } from '../../../graph/shapes.ts';
import type { Call, Geometry, NormTableOfBatch, Partials } from '../calls.ts';
import {
  keptMatrix,
  matrix,
  padded,
  plain,
  whole,
  type Element,
  type Matrix,
  type NormTable,
  type Source,
  type View,
} from '../memory.ts';
import { blocksOf } from './blocks.ts';
import type { Draft } from './draft.ts';
import { createMoments } from './moments.ts';
import type { FlatLayout } from './parameters.ts';

/** A node's output as its readers see it. */
export interface Value {
  readonly source: Source;
  readonly height: number;
  readonly width: number;
}

/** The factors of a dropout node, kept, `[images, channels]`. */
export interface Mask {
  readonly node: DropoutNode;
  readonly matrix: Matrix;
  /** Without padding. */
  readonly channels: number;
}

export interface Forward {
  readonly values: ReadonlyMap<string, Value>;
  /** Of the norms of train mode, by node. */
  readonly tables: ReadonlyMap<string, NormTable>;
  /** Of the nodes that drop something. */
  readonly masks: readonly Mask[];
  /** Where a node's raw value lies in a block. */
  readonly blockPlaceOf: ReadonlyMap<string, View>;
}

export interface ForwardOptions {
  readonly images: number;
  readonly input: Matrix;
  /** What a value of so many rows is kept in. */
  readonly elementOf: (rows: number) => Element;
  /** Batch norms see the batch, dropout drops. */
  readonly training: boolean;
  readonly momentum: number | null;
  readonly layout: FlatLayout;
  /** A table that is made once for many steps: in eval mode. */
  readonly keptTableOf: (node: string, channels: number) => NormTable;
}

/**
 * Writes the forward calls up to and with `last`. Norms and activations become part of how the next reader sees a value; only
 * what kernels write is in memory.
 */
export function forward(
  graph: Graph,
  shapes: ReadonlyMap<string, NodeShape>,
  draft: Draft,
  once: Draft,
  last: string,
  options: ForwardOptions,
): Forward {
  const { images, training, layout, elementOf } = options;
  const values = new Map<string, Value>();
  const tables = new Map<string, NormTable>();
  const masks: Mask[] = [];
  const { placeOf } = blocksOf(graph, shapes, images, elementOf);
  const moments = createMoments(draft);
  const normed = new Set(training ? readByNorms(graph) : []);

  const sizeOf = (name: string): { height: number; width: number; channels: number } => {
    const shape = shapes.get(name)!;
    return shape.length === 3
      ? { height: shape[0], width: shape[1], channels: padded(shape[2]) }
      : { height: 1, width: 1, channels: padded(shape[0]) };
  };
  const valueMatrix = (name: string, pixels: number, channels: number): Matrix =>
    matrix(name, images * pixels, channels, elementOf(images * pixels));
  const set = (node: GraphNode, source: Source): void => {
    const { height, width } = sizeOf(node.name);
    values.set(node.name, { source, height, width });
  };
  /** Where a kernel writes a node's raw value. `read`: what it reads meanwhile. */
  const outputOf = (node: GraphNode, ...read: readonly Source[]): View => {
    const { height, width, channels } = sizeOf(node.name);
    const place = placeOf.get(node.name);
    if (place && !read.some(({ view }) => view.matrix === place.matrix)) return place;
    return whole(valueMatrix(node.name, height * width, channels));
  };
  /** The raw value is written; statistics, if the kernel made some, wait for a norm. */
  const written = (node: GraphNode, out: View, statistics: Partials | null = null): void => {
    const place = placeOf.get(node.name);
    let view = out;
    if (place && out !== place) {
      copy(node, plain(out), place);
      view = place;
    }
    if (statistics) moments.made(view, statistics);
    set(node, plain(view));
  };
  const copy = (node: GraphNode, source: Source, out: View): void => {
    const { height, width } = sizeOf(node.name);
    draft.emit({
      kind: 'materialise',
      node: node.name,
      images,
      pixels: height * width,
      source,
      out,
      accumulate: false,
    });
  };
  /** A value that is in memory as it is. */
  const inMemory = (name: string, node: GraphNode): View => {
    const { source, height, width } = values.get(name)!;
    if (source.norm === null && source.activation === 'none' && source.factor === null) return source.view;
    const out = whole(valueMatrix(`${name} for ${node.name}`, height * width, source.view.channels));
    draft.emit({ kind: 'materialise', node: name, images, pixels: height * width, source, out, accumulate: false });
    return out;
  };
  const geometryOf = (node: GraphNode, kernel: number, stride: number, padding: number): Geometry => {
    const input = sizeOf(node.inputs[0]!);
    const { height: outHeight, width: outWidth } = sizeOf(node.name);
    return { images, height: input.height, width: input.width, outHeight, outWidth, kernel, stride, padding };
  };

  const convolve = (node: Conv2dNode | LinearNode): void => {
    const { source } = values.get(node.inputs[0]!)!;
    const isLinear = node.op === 'linear';
    const geometry = isLinear ? geometryOf(node, 1, 1, 0) : geometryOf(node, node.kernel, node.stride, node.padding);
    const depthwise = !isLinear && isDepthwise(node);
    if (!isLinear && node.groups > 1 && !depthwise) throw new Error(`${node.name} has ${node.groups} groups.`);
    const out = outputOf(node, source);
    const call = {
      kind: depthwise ? 'depthwise' : 'conv',
      node: node.name,
      ...geometry,
      source,
      weight: layout.rangeOf(`${node.name}.weight`),
      bias: node.bias ? layout.rangeOf(`${node.name}.bias`) : null,
      out,
      statistics: null,
    } satisfies Call as Call;
    const rows = images * geometry.outHeight * geometry.outWidth;
    const statistics = normed.has(node.name) ? draft.partials(call, rows, out.channels) : null;
    draft.emit({ ...call, statistics } as Call);
    written(node, out, statistics);
  };

  const normalise = (node: BatchNorm2dNode): void => {
    const view = inMemory(node.inputs[0]!, node);
    const parameter = (kind: string) => layout.rangeOf(`${node.name}.${kind}`);
    const common = { node: node.name, gamma: parameter('weight'), beta: parameter('bias'), eps: node.eps };
    if (!training) {
      const table = options.keptTableOf(node.name, view.channels);
      once.emit({
        ...common,
        kind: 'normTableOfRunning',
        runningMean: parameter('running_mean'),
        runningVariance: parameter('running_var'),
        table,
      });
      set(node, { ...plain(view), norm: table });
      return;
    }
    const table = matrix(`${node.name} table`, 4, view.channels);
    const { fresh, of } = moments.of(view, node.name);
    const pending = (kind: string) => ({ memory: layout.pending, offset: parameter(kind).offset });
    const call: NormTableOfBatch = {
      ...common,
      kind: 'normTableOfBatch',
      fresh,
      rows: view.matrix.rows,
      moments: of,
      first: view.first,
      table,
      runningMean: pending('running_mean'),
      runningVariance: pending('running_var'),
      momentum: options.momentum ?? node.momentum,
    };
    draft.emit(call);
    tables.set(node.name, table);
    set(node, { ...plain(view), norm: table });
  };

  for (const node of graph.nodes) {
    const name = node.name;
    const input = node.inputs[0] as string;
    switch (node.op) {
      case 'input':
        set(node, plain(whole(options.input)));
        break;
      case 'conv2d':
      case 'linear':
        convolve(node);
        break;
      case 'batchNorm2d':
        normalise(node);
        break;
      case 'activation': {
        const { source } = values.get(input)!;
        const ready = source.activation === 'none' && source.factor === null;
        set(node, { ...(ready ? source : plain(inMemory(input, node))), activation: node.kind });
        break;
      }
      case 'dropout': {
        const { source } = values.get(input)!;
        if (!training || node.p === 0) set(node, source);
        else {
          const ready = source.factor === null ? source : plain(inMemory(input, node));
          const mask = keptMatrix(`${name} mask`, images, source.view.channels);
          masks.push({ node, matrix: mask, channels: shapes.get(name)!.at(-1)! });
          set(node, { ...ready, factor: whole(mask) });
        }
        break;
      }
      case 'mul': {
        const { source } = values.get(input)!;
        const ready = source.factor === null ? source : plain(inMemory(input, node));
        set(node, { ...ready, factor: inMemory(node.inputs[1]!, node) });
        break;
      }
      case 'add': {
        const { height, width } = sizeOf(name);
        const a = values.get(input)!.source;
        let b = values.get(node.inputs[1]!)!.source;
        // A kernel is given no memory twice: x + x and sums of two views of a block.
        if (b.view.matrix === a.view.matrix) b = plain(copyOf(node.inputs[1]!, node));
        const out = outputOf(node, a, b);
        draft.emit({ kind: 'add', node: name, images, pixels: height * width, a, b, out });
        written(node, out);
        break;
      }
      case 'maxPool2d':
      case 'avgPool2d': {
        const { source } = values.get(input)!;
        const out = outputOf(node, source);
        const padding = node.op === 'maxPool2d' ? node.padding : 0;
        const kind = node.op === 'maxPool2d' ? 'maxPool' : 'avgPool';
        draft.emit({ kind, node: name, ...geometryOf(node, node.kernel, node.stride, padding), source, out });
        written(node, out);
        break;
      }
      case 'globalAvgPool': {
        const { source, height, width } = values.get(input)!;
        const out = outputOf(node, source);
        draft.emit({ kind: 'globalAvgPool', node: name, images, pixels: height * width, source, out });
        written(node, out);
        break;
      }
      case 'flatten':
        set(node, values.get(input)!.source);
        break;
      case 'concat': {
        const place = placeOf.get(name)!;
        let first = place.first;
        for (const part of node.inputs) {
          const { source } = values.get(part)!;
          const to: View = { matrix: place.matrix, first, channels: source.view.channels };
          const there = source.view.matrix === place.matrix && source.view.first === first;
          const isPlain = source.norm === null && source.activation === 'none' && source.factor === null;
          if (!there || !isPlain) {
            const from = source.view.matrix === place.matrix ? plain(copyOf(part, node)) : source;
            copy({ ...node, name: part }, from, to);
          }
          first += to.channels;
        }
        set(node, plain(place));
        break;
      }
      default:
        throw new Error(`${node.op} (${name}) belongs to export graphs.`);
    }
    if (name === last) break;
  }
  return { values, tables, masks, blockPlaceOf: placeOf };

  /** A value in a matrix of its own. */
  function copyOf(name: string, node: GraphNode): View {
    const { source, height, width } = values.get(name)!;
    const out = whole(valueMatrix(`${name} for ${node.name}`, height * width, source.view.channels));
    draft.emit({ kind: 'materialise', node: name, images, pixels: height * width, source, out, accumulate: false });
    return out;
  }
}

/** Nodes whose raw value a norm reads, in a concatenation or by itself. */
function readByNorms(graph: Graph): string[] {
  const found = new Set<string>();
  for (const node of graph.nodes.toReversed()) {
    if (node.op === 'batchNorm2d') found.add(node.inputs[0]!);
    if (node.op === 'concat' && found.has(node.name)) for (const name of node.inputs) found.add(name);
  }
  return [...found];
}
