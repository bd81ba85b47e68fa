import { UserError } from '../errors.ts';
import type { Graph, GraphNode } from './types.ts';

/** `[H, W, C]` of a feature map (`[1, 1, C]` once pooled), `[C]` of a flat one; without the batch. */
export type NodeShape = readonly [number, number, number] | readonly [number];

/** The image shrinks to nothing on its way through the network. */
export class ImageTooSmallError extends UserError {
  constructor(architecture: string, imageSize: number, node: string) {
    super(`Images of ${imageSize} pixels are too small for ${architecture}: nothing is left of them at ${node}.`, {
      kept: 'The data set and every setting are unchanged.',
      remedy: 'Raise data.img_size (224 is usual, 64 works for quick looks).',
    });
  }
}

/** Output positions of a window, as torch counts them (`ceil_mode=False`). */
export function windowed(extent: number, kernel: number, stride: number, padding: number): number {
  return Math.floor((extent + 2 * padding - kernel) / stride) + 1;
}

/**
 * Shape of every node's output for square images of `imageSize` pixels.
 * @throws ImageTooSmallError where a feature map would be empty.
 */
export function inferShapes(graph: Graph, imageSize: number): Map<string, NodeShape> {
  const shapes = new Map<string, NodeShape>();
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => {
      const shape = shapes.get(name);
      if (!shape) throw new Error(`${node.name}: its input ${name} comes later or does not exist.`);
      return shape;
    });
    const shape = node.op === 'input' ? ([imageSize, imageSize, node.channels] as const) : shapeOf(node, inputs);
    if (shape.some((extent) => !(extent >= 1))) throw new ImageTooSmallError(graph.architecture, imageSize, node.name);
    shapes.set(node.name, shape);
  }
  return shapes;
}

function shapeOf(node: Exclude<GraphNode, { op: 'input' }>, inputs: readonly NodeShape[]): NodeShape {
  const first = inputs[0] as NodeShape;
  const channels = first[first.length - 1] as number;
  const mapped = (): readonly [number, number] => {
    if (first.length !== 3) throw new Error(`${node.name}: its input has no height and width.`);
    return [first[0], first[1]];
  };
  const expect = (found: number, wanted: number): void => {
    if (found !== wanted) throw new Error(`${node.name}: ${found} channels come in, ${wanted} are expected.`);
  };
  switch (node.op) {
    case 'conv2d': {
      expect(channels, node.inChannels);
      const [height, width] = mapped().map((extent) => windowed(extent, node.kernel, node.stride, node.padding));
      return [height as number, width as number, node.outChannels];
    }
    case 'maxPool2d':
    case 'avgPool2d': {
      const padding = node.op === 'maxPool2d' ? node.padding : 0;
      const [height, width] = mapped().map((extent) => windowed(extent, node.kernel, node.stride, padding));
      return [height as number, width as number, channels];
    }
    case 'batchNorm2d':
      expect(channels, node.channels);
      return first;
    case 'globalAvgPool':
      mapped();
      return [1, 1, channels];
    case 'flatten':
      if (first.length === 3) expect(first[0] * first[1], 1);
      return [channels];
    case 'linear':
      if (first.length !== 1) throw new Error(`${node.name}: its input is not flat.`);
      expect(channels, node.inFeatures);
      return [node.outFeatures];
    case 'add':
      if (inputs.some((shape) => shape.join() !== first.join()))
        throw new Error(`${node.name}: inputs differ in shape.`);
      return first;
    case 'mul':
      if (inputs[1]?.join() !== `1,1,${channels}`)
        throw new Error(`${node.name}: its factor is not [1,1,${channels}].`);
      return first;
    case 'concat': {
      const [height, width] = mapped();
      if (inputs.some((shape) => shape[0] !== height || shape[1] !== width)) {
        throw new Error(`${node.name}: its inputs differ in height or width.`);
      }
      return [height, width, inputs.reduce((sum, shape) => sum + (shape[2] as number), 0)];
    }
    case 'activation':
    case 'dropout':
    case 'softmax':
      return first;
    case 'channelAffine':
      expect(channels, node.scale.length);
      expect(channels, node.shift.length);
      return first;
  }
}
