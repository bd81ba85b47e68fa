import type { CallOf, Geometry } from '../calls.ts';
import type { Cost, Kernel } from '../kernels.ts';
import { bytesEach, type View } from '../memory.ts';
import { leftOfSource, productProgram } from './gemmProduct.ts';
import { groupsOf, type Tile, type Tiling } from './gemmTiles.ts';
import { viewPiece } from './pieces.ts';
import type { Product } from './product.ts';
import { arena, parameters } from './shader.ts';
import { sourceCode } from './source.ts';
import { inputRows, outputRows } from './windows.ts';

type Conv = CallOf<'conv'>;

/**
 * A 1×1 window that reads each pixel once: rows of the input are rows of the output, and a plain product of matrices will do. To eight lanes
 * the difference is nothing beside compiling another program: they take the general one.
 */
export function isPointwise({ kernel, stride, padding }: Geometry, tile: Tile): boolean {
  return kernel === 1 && stride === 1 && padding === 0 && tile.kind === 'shared';
}

/** Multiply-adds and bytes of any of a convolution's three products, of views at its input and its output. */
export function productCost(call: Geometry, input: View, output: View): Cost {
  const weights = call.kernel * call.kernel * input.channels * output.channels;
  return {
    flops: 2 * outputRows(call) * weights,
    bytes:
      inputRows(call) * input.channels * bytesEach(input) +
      outputRows(call) * output.channels * bytesEach(output) +
      4 * weights,
  };
}

/** Of the forward direction: place and tapRow of an output pixel, rows of the input. Integers: height, width, outHeight, outWidth, stride, padding. */
export const outputPlaces = `
fn place(q : i32) -> vec4<i32> {
  let at = min(q, u.rows - 1);
  let pixels = u.outHeight * u.outWidth;
  let image = at / pixels;
  let pixel = at - image * pixels;
  let y = pixel / u.outWidth;
  return vec4<i32>(image * u.height * u.width, y * u.stride - u.padding, (pixel - y * u.outWidth) * u.stride - u.padding,
                   select(-1, q, q < u.rows));
}
fn tapRow(p : vec4<i32>, tap : vec2<i32>) -> i32 {
  let y = p.y + tap.x;
  let x = p.z + tap.y;
  let inside = p.w >= 0 && y >= 0 && y < u.height && x >= 0 && x < u.width;
  return select(-1, p.x + y * u.width + x, inside);
}`;

/** Rows as they come. */
export const plainPlaces = `
fn place(q : i32) -> vec4<i32> { return vec4<i32>(0, 0, 0, select(-1, q, q < u.rows)); }`;

export const GEOMETRY_INTEGERS = ['height', 'width', 'outHeight', 'outWidth', 'stride', 'padding'] as const;
export function geometryIntegers(call: Geometry): readonly number[] {
  return [call.height, call.width, call.outHeight, call.outWidth, call.stride, call.padding];
}

/** Convolution as an implicit product: rows are output pixels, k runs over (ky, kx, input channel). */
export function convKernel(tiling: Tiling): Kernel<Conv> {
  return {
    cost: (call) => productCost(call, call.source.view, call.out),
    tileRows: (call) => tile(call).rows,
    dispatches(call) {
      const chosen = tile(call);
      const { source, weight, bias, out, statistics } = call;
      const input = sourceCode('source', source, call.height * call.width);
      const result = viewPiece('out', out);
      const pointwise = isPointwise(call, chosen);
      const rows = outputRows(call);
      const groups = groupsOf(chosen, rows, out.channels);
      // Parameters may all lie in one memory, and none is bound twice.
      const biasMemory = bias && bias.memory !== weight.memory ? bias.memory : null;
      const biasKey = bias === null ? '' : biasMemory ? '-bias' : '-biasBeside';
      const product: Product = {
        name: `conv${pointwise ? '1x1' : ''}${key(input.key)}${biasKey}${statistics ? '-moments' : ''}`,
        storage: [
          ...input.storage,
          parameters('weight'),
          ...(biasMemory ? [parameters('bias')] : []),
          ...result.storage,
          ...(statistics ? [arena('sums')] : []),
        ],
        integers: [
          ...GEOMETRY_INTEGERS,
          ...input.integers,
          'weightFirst',
          ...(bias ? ['biasFirst'] : []),
          ...result.integers,
          ...(statistics ? ['sumsStride'] : []),
        ],
        pointwise,
        skips: false,
        rightAlong: 'n',
        sums: statistics ? 'moments' : 'none',
        declarations: `${input.code}
${leftOfSource('source', source)}
${pointwise ? plainPlaces : outputPlaces}
fn right(tap : i32, k4 : i32, n4 : i32) -> mat4x4<f32> {
  let at = u.weightFirst + (tap * u.k4 + k4) * 4 * u.n4 + n4;
  return mat4x4<f32>(weight[at], weight[at + u.n4], weight[at + 2 * u.n4], weight[at + 3 * u.n4]);
}
struct End { bias : vec4<f32> }
fn endTable(n4 : i32) -> End { return End(${bias ? `${biasMemory ? 'bias' : 'weight'}[u.biasFirst + n4]` : 'vec4<f32>(0.0)'}); }
fn finish(row : i32, n4 : i32, sum : vec4<f32>, e : End) -> Result {
  var value = sum${bias ? ' + e.bias' : ''};
  ${result.rounded('value')}
  ${result.set('value', 'row', 'n4')}
  return Result(value, vec4<f32>(0.0));
}`,
      };
      return [
        {
          program: productProgram(product, chosen),
          memories: [
            ...input.memories,
            weight.memory,
            ...(biasMemory ? [biasMemory] : []),
            ...result.memories,
            ...(statistics ? [statistics.matrix] : []),
          ],
          integers: [
            ...[groups, chosen.rows, rows, out.channels / 4, source.view.channels / 4, call.kernel],
            ...geometryIntegers(call),
            ...input.values,
            weight.offset / 4,
            ...(bias ? [bias.offset / 4] : []),
            ...result.values,
            ...(statistics ? [statistics.matrix.channels / 4] : []),
          ],
          workgroups: groups,
        },
      ];
    },
  };

  function tile(call: Conv): Tile {
    const depth = call.kernel ** 2 * call.source.view.channels;
    return tiling.product({ kind: 'conv', rows: outputRows(call), columns: call.out.channels, depth });
  }
}

/** Of a source, as part of a program's name. */
export function key(source: string): string {
  return source === '' ? '' : `-${source.replace(/^-/, '')}`;
}
