import { isDepthwise } from '../../../graph/convolution.ts';
import { consumersOf, differentiatedOf } from '../../../graph/flow.ts';
import type { BatchNorm2dNode, Conv2dNode, Graph, GraphNode, LinearNode } from '../../../graph/types.ts';
import type { ActivationBackward, Call, Geometry } from '../calls.ts';
import { matrix, plain, whole, type Activation, type Element, type Source, type View } from '../memory.ts';
import type { Draft } from './draft.ts';
import type { Forward, Value } from './forward.ts';
import { createGradients, type Parts } from './gradients.ts';
import type { FlatLayout } from './parameters.ts';

export interface BackwardOptions {
  readonly images: number;
  readonly layout: FlatLayout;
  /** Nodes with parameters that are trained. */
  readonly trained: ReadonlySet<string>;
  /** What a gradient of so many rows is kept in. */
  readonly elementOf: (rows: number) => Element;
  /** Gradient of the last node's value. */
  readonly dy: View;
}

/** Writes the backward calls: nodes in reverse, each when all readers of its value have left their part of its gradient. */
export function backward(
  graph: Graph,
  draft: Draft,
  { values, tables, blockPlaceOf }: Forward,
  options: BackwardOptions,
): void {
  const { images, layout, trained, elementOf } = options;
  const gradients = createGradients(draft, blockPlaceOf, elementOf);
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const differentiated = differentiatedOf(graph, trained);
  const uses = consumersOf(graph);
  /** Gradients of activations whose norm makes them its own: one reader, so nothing else is to come. */
  const handedUp = new Map<string, Activation>();

  const pixelsOf = ({ height, width }: Value): number => height * width;

  /** One matrix of all parts. */
  const inMemory = (node: GraphNode): View => {
    const view = unsettled(node);
    gradients.settle(node.name, view);
    return view;
  };
  /** The same, but for what waits in a block's table. */
  const unsettled = (node: GraphNode): View => {
    const { plain: there, factored, pooled } = gradients.of(node.name);
    const place = gradients.placeOf(node.name);
    if (!factored && !pooled) {
      const view = place ?? there;
      if (!view) throw new Error(`No gradient reaches ${node.name}.`);
      return view;
    }
    const value = values.get(node.name)!;
    const pixels = pixelsOf(value);
    gradients.add(node.name, images * pixels, value.source.view.channels, true, (out, accumulate) => ({
      kind: 'activationBackward',
      node: node.name,
      gradient: factored?.view ?? null,
      factor: factored?.factor ?? null,
      pooled,
      images,
      pixels,
      source: plain(value.source.view),
      out,
      accumulate,
      sums: null,
    }));
    gradients.release(factored?.view ?? null);
    gradients.release(pooled);
    Object.assign(gradients.of(node.name), { factored: null, pooled: null });
    return place ?? gradients.of(node.name).plain!;
  };
  /** Plain and factored are one too many for a kernel. */
  const simple = (node: GraphNode): Parts => {
    const parts = gradients.of(node.name);
    if (gradients.placeOf(node.name) || (parts.plain && parts.factored)) {
      const view = inMemory(node);
      return { plain: view, factored: null, pooled: null, dz: null };
    }
    return parts;
  };
  const releaseAll = ({ plain: view, factored, pooled, dz }: Parts): void => {
    for (const one of [view, factored?.view, pooled, dz?.view]) gradients.release(one ?? null);
  };

  /** The gradient of z from that of the value. */
  const throughActivation = (
    node: string,
    parts: Parts,
    value: Value,
    source: Source,
  ): Omit<ActivationBackward, 'out' | 'accumulate' | 'sums'> => ({
    kind: 'activationBackward',
    node,
    gradient: parts.plain ?? parts.factored?.view ?? null,
    factor: parts.plain ? null : (parts.factored?.factor ?? null),
    pooled: parts.pooled,
    images,
    pixels: pixelsOf(value),
    source,
  });

  const ofConvolution = (node: Conv2dNode | LinearNode): void => {
    const input = node.inputs[0]!;
    const { source, height, width } = values.get(input)!;
    const { height: outHeight, width: outWidth } = values.get(node.name)!;
    const window = node.op === 'linear' ? { kernel: 1, stride: 1, padding: 0 } : node;
    const { kernel, stride, padding } = window;
    const geometry: Geometry = { images, height, width, outHeight, outWidth, kernel, stride, padding };
    const depthwise = node.op === 'conv2d' && isDepthwise(node);
    const dy = inMemory(node);
    const common = { node: node.name, ...geometry, dy };
    draft.emit({
      ...common,
      kind: depthwise ? 'depthwiseFilterGradient' : 'convFilterGradient',
      source,
      gradient: layout.gradientOf(`${node.name}.weight`),
    });
    if (node.bias) {
      draft.emit({ kind: 'columnSums', node: node.name, dy, gradient: layout.gradientOf(`${node.name}.bias`) });
    }
    if (differentiated.has(input)) {
      const rows = images * height * width;
      const { channels } = source.view;
      const make = (out: View, accumulate: boolean) =>
        ({
          ...common,
          kind: depthwise ? 'depthwiseInputGradient' : 'convInputGradient',
          weight: layout.rangeOf(`${node.name}.weight`),
          out,
          accumulate,
          epilogue: null,
        }) satisfies Call as Call & { kind: 'convInputGradient' | 'depthwiseInputGradient' };
      const own = whole(matrix(`${input} dz`, rows, channels, elementOf(rows)));
      const norm = normBefore(input);
      const fits = tables.has(norm) && source.factor === null && uses.get(input) === 1;
      const sums = fits ? draft.partials(make(own, false), rows, channels) : null;
      if (sums) {
        const normed = nodes.get(norm)!.inputs[0]!;
        const shared = !depthwise && differentiated.has(normed) ? gradients.partOfDx(normed, source.view, dy) : null;
        const call = make(shared?.out ?? own, shared?.accumulate ?? false);
        const epilogue = { source, sums };
        if (shared && call.kind === 'convInputGradient') {
          draft.emit({ ...call, epilogue: { ...epilogue, partOfDx: true } });
        } else {
          draft.emit({ ...call, epilogue });
          gradients.hold(own);
        }
        gradients.of(input).dz = { view: shared ? null : own, sums };
      } else {
        gradients.add(input, rows, channels, true, make);
      }
    }
    gradients.release(gradients.of(node.name).plain);
  };
  /** The norm through which a value went last, maybe with an activation behind it; its own readers must be that one alone. */
  const normBefore = (name: string): string => {
    const node = nodes.get(name)!;
    if (node.op === 'batchNorm2d') return name;
    const before = node.inputs[0];
    return node.op === 'activation' && before !== undefined && uses.get(before) === 1 ? before : '';
  };

  const ofActivation = (node: GraphNode, kind: Activation): void => {
    const input = node.inputs[0]!;
    const parts = simple(node);
    if (tables.has(input) && uses.get(input) === 1) {
      Object.assign(gradients.of(input), parts);
      handedUp.set(input, kind);
      return;
    }
    const value = values.get(node.name)!;
    const source: Source = { ...value.source, activation: kind, factor: null };
    const half = throughActivation(node.name, parts, value, source);
    const inPlace = parts.plain ?? parts.factored?.view ?? null;
    if (inPlace && gradients.isFree(inPlace) && gradients.takesOver(input)) {
      draft.emit({ ...half, out: inPlace, accumulate: false, sums: null });
      gradients.move(input, inPlace);
    } else {
      const rows = images * pixelsOf(value);
      gradients.add(input, rows, source.view.channels, true, (out, accumulate) => ({
        ...half,
        out,
        accumulate,
        sums: null,
      }));
    }
    releaseAll(parts);
  };

  const ofNorm = (node: BatchNorm2dNode): void => {
    const input = node.inputs[0]!;
    const norm = tables.get(node.name)!;
    const value = values.get(node.name)!;
    const { view } = value.source;
    const rows = images * pixelsOf(value);
    const kind = handedUp.get(node.name) ?? 'none';
    const parts = simple(node);
    let dz = parts.dz;
    if (!dz) {
      const source: Source = { view, norm, activation: kind, factor: null };
      const half = throughActivation(node.name, parts, value, source);
      const sumsOnly = kind === 'none' && parts.plain !== null && parts.pooled === null;
      const there = parts.plain ?? parts.factored?.view ?? null;
      const free = there !== null && gradients.isFree(there);
      const out = sumsOnly
        ? null
        : free
          ? there
          : whole(matrix(`${node.name} dz`, rows, view.channels, elementOf(rows)));
      const sums = draft.partials({ ...half, out, accumulate: false, sums: null }, rows, view.channels);
      if (!sums) throw new Error('The kernel of activations makes no sums.');
      draft.emit({ ...half, out, accumulate: false, sums });
      dz = { view: out ?? parts.plain!, sums };
    }
    const { view: slope, sums } = dz;
    const left = slope
      ? { coefficients: whole(matrix(`${node.name} coefficients`, 4, view.channels)), of: 'whole' as const }
      : gradients.restOfDx(input);
    draft.emit({
      kind: 'normBackward',
      node: node.name,
      sums,
      rows,
      norm,
      gammaGradient: layout.gradientOf(`${node.name}.weight`),
      betaGradient: layout.gradientOf(`${node.name}.bias`),
      ...left,
    });
    if (slope && differentiated.has(input)) {
      const { coefficients } = left;
      const apply = { kind: 'normApply', node: node.name, dz: slope, x: view, coefficients } as const;
      const mine = slope !== parts.plain || gradients.isFree(slope);
      if (mine && gradients.takesOver(input)) {
        draft.emit({ ...apply, out: slope, accumulate: false });
        gradients.move(input, slope);
      } else {
        gradients.add(input, rows, view.channels, true, (out, accumulate) => ({ ...apply, out, accumulate }));
      }
    }
    releaseAll(parts);
  };

  const last = graph.nodes.at(-1)!;
  gradients.share(last.name, options.dy);
  for (const node of graph.nodes.toReversed()) {
    if (!differentiated.has(node.name)) continue;
    const inputs = node.inputs.filter((name) => differentiated.has(name));
    const input = node.inputs[0]!;
    switch (node.op) {
      case 'conv2d':
      case 'linear':
        ofConvolution(node);
        break;
      case 'batchNorm2d':
        ofNorm(node);
        break;
      case 'activation':
        ofActivation(node, node.kind);
        break;
      case 'add':
      case 'flatten': {
        const g = inMemory(node);
        for (const name of inputs) gradients.share(name, g);
        gradients.release(gradients.of(node.name).plain);
        break;
      }
      case 'dropout': {
        const g = inMemory(node);
        const { factor } = values.get(node.name)!.source;
        if (node.p > 0 && factor) factored(nodes.get(input)!, g, factor);
        else gradients.share(input, g);
        gradients.release(gradients.of(node.name).plain);
        break;
      }
      case 'mul': {
        const g = inMemory(node);
        const scale = node.inputs[1]!;
        const value = values.get(node.name)!;
        const { factor } = value.source;
        if (differentiated.has(scale)) {
          gradients.add(scale, images, value.source.view.channels, false, (out) => ({
            kind: 'scaleGradient',
            node: node.name,
            images,
            pixels: pixelsOf(value),
            gradient: g,
            source: { ...value.source, factor: null },
            out,
          }));
        }
        if (differentiated.has(input)) factored(nodes.get(input)!, g, factor!);
        gradients.release(gradients.of(node.name).plain);
        break;
      }
      case 'globalAvgPool': {
        const g = inMemory(node);
        const parts = gradients.of(input);
        if (parts.pooled) inMemory(nodes.get(input)!);
        gradients.of(input).pooled = g;
        // Held from here on by what it was left to.
        break;
      }
      case 'maxPool2d':
      case 'avgPool2d': {
        const dy = inMemory(node);
        const value = values.get(input)!;
        const { height, width } = value;
        const { height: outHeight, width: outWidth } = values.get(node.name)!;
        const { kernel, stride } = node;
        const padding = node.op === 'maxPool2d' ? node.padding : 0;
        const common = { node: node.name, images, height, width, outHeight, outWidth, kernel, stride, padding, dy };
        gradients.add(input, images * height * width, value.source.view.channels, false, (gradient) =>
          node.op === 'maxPool2d'
            ? { ...common, kind: 'maxPoolBackward', source: value.source, gradient }
            : { ...common, kind: 'avgPoolBackward', gradient },
        );
        gradients.release(gradients.of(node.name).plain);
        break;
      }
      case 'concat': {
        // What lies in the block has its gradient there, to be settled in its turn; the rest was copied into it.
        const g = unsettled(node);
        let first = g.first;
        for (const name of node.inputs) {
          const { channels } = values.get(name)!.source.view;
          const part: View = { matrix: g.matrix, first, channels };
          const there = gradients.placeOf(name);
          const isThere = there?.matrix === g.matrix && there.first === first;
          if (differentiated.has(name) && !isThere) {
            gradients.settle(node.name, part);
            gradients.share(name, part);
          }
          first += channels;
        }
        break;
      }
      case 'input':
        break;
      default:
        throw new Error(`${node.op} (${node.name}) belongs to export graphs.`);
    }
  }

  function factored(node: GraphNode, view: View, factor: View): void {
    if (gradients.of(node.name).factored) inMemory(node);
    gradients.of(node.name).factored = { view, factor };
    gradients.hold(view);
  }
}
