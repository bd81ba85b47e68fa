import type { CallOf } from '../calls.ts';
import type { Kernel } from '../kernels.ts';
import { bytesEach } from '../memory.ts';
import { geometryIntegers, GEOMETRY_INTEGERS, isPointwise, key, plainPlaces, productCost } from './conv.ts';
import { leftOfView, productProgram } from './gemmProduct.ts';
import { groupsOf, type Tile, type Tiling } from './gemmTiles.ts';
import { viewPiece } from './pieces.ts';
import type { Product } from './product.ts';
import { arena, parameters } from './shader.ts';
import { normAt, sourceCode } from './source.ts';
import { inputRows } from './windows.ts';

type InputGradient = CallOf<'convInputGradient'>;

/**
 * The input's gradient as an implicit product: rows are input pixels, k runs over (ky, kx, output channel). With a stride, rows are taken
 * phase by phase (y mod stride, x mod stride): a tile then needs only the taps of its phase, not all of which most would be zero.
 */
export function convInputGradientKernel(tiling: Tiling): Kernel<InputGradient> {
  return {
    cost: (call) => {
      const { out, dy, epilogue, accumulate } = call;
      const { flops, bytes } = productCost(call, out, dy);
      const beside = (epilogue ? bytesEach(epilogue.source.view) : 0) + (accumulate ? bytesEach(out) : 0);
      return { flops, bytes: bytes + inputRows(call) * out.channels * beside };
    },
    tileRows: (call) => tile(call).rows,
    dispatches(call) {
      const chosen = tile(call);
      const { dy, weight, out, accumulate, epilogue } = call;
      const slope = viewPiece('dy', dy);
      const result = viewPiece('out', out);
      const x = epilogue ? sourceCode('x', epilogue.source, call.height * call.width) : null;
      const pointwise = isPointwise(call, chosen);
      const rows = inputRows(call);
      const groups = groupsOf(chosen, rows, out.channels);
      const product: Product = {
        name: `convInputGradient${pointwise ? '1x1' : `-stride${call.stride}`}${x ? key(x.key) : ''}`,
        storage: [
          ...slope.storage,
          parameters('weight'),
          ...result.storage,
          ...(x ? [...x.storage, arena('sums')] : []),
        ],
        integers: [
          ...GEOMETRY_INTEGERS,
          ...['images', ...slope.integers, 'weightFirst', ...result.integers, 'accumulate'],
          ...(x ? [...x.integers, 'sumsStride', 'partOfDx'] : []),
        ],
        pointwise,
        skips: !pointwise && call.stride > 1,
        rightAlong: 'k',
        sums: epilogue ? 'gradient' : 'none',
        declarations: `${x?.code ?? ''}
${leftOfView(slope)}
${pointwise ? plainPlaces : inputPlaces(call.stride)}
fn right(tap : i32, k4 : i32, n4 : i32) -> mat4x4<f32> {
  let at = u.weightFirst + (tap * u.n4 + n4) * 4 * u.k4 + k4;
  return transpose(mat4x4<f32>(weight[at], weight[at + u.k4], weight[at + 2 * u.k4], weight[at + 3 * u.k4]));
}
${
  x
    ? `struct End { scale : vec4<f32>, shift : vec4<f32>, mean : vec4<f32>, inverse : vec4<f32> }
fn endTable(n4 : i32) -> End {
  return End(${(['scale', 'shift', 'mean', 'inverse'] as const).map((row) => normAt('x', row, 'n4')).join(', ')});
}
fn finish(row : i32, n4 : i32, sum : vec4<f32>, e : End) -> Result {
  let raw = x_raw(row, n4);
  var value = sum * x_act_slope(fma(e.scale, raw, e.shift));
  // Where it is but a part of dx nobody reads dz: its sums are of it as it is, not as memory would round it.
  if (u.partOfDx == 0) { ${result.rounded('value')} }
  var given = select(value, e.scale * value, u.partOfDx != 0);
  if (u.accumulate != 0) { given += ${result.at('row', 'n4')}; }
  ${result.set('given', 'row', 'n4')}
  return Result(value, (raw - e.mean) * e.inverse);
}`
    : `struct End { unused : i32 }
fn endTable(n4 : i32) -> End { return End(0); }
fn finish(row : i32, n4 : i32, sum : vec4<f32>, e : End) -> Result {
  var value = sum;
  if (u.accumulate != 0) { value += ${result.at('row', 'n4')}; }
  ${result.set('value', 'row', 'n4')}
  return Result(value, vec4<f32>(0.0));
}`
}`,
      };
      return [
        {
          program: productProgram(product, chosen),
          memories: [
            ...slope.memories,
            weight.memory,
            ...result.memories,
            ...(x && epilogue ? [...x.memories, epilogue.sums.matrix] : []),
          ],
          integers: [
            ...[groups, chosen.rows, rows, out.channels / 4, dy.channels / 4, call.kernel],
            ...geometryIntegers(call),
            ...[call.images, ...slope.values, weight.offset / 4],
            ...[...result.values, accumulate ? 1 : 0],
            ...(x && epilogue ? [...x.values, epilogue.sums.matrix.channels / 4, epilogue.partOfDx ? 1 : 0] : []),
          ],
          workgroups: groups,
        },
      ];
    },
  };

  function tile(call: InputGradient): Tile {
    const depth = call.kernel ** 2 * call.dy.channels;
    return tiling.product({ kind: 'convInputGradient', rows: inputRows(call), columns: call.out.channels, depth });
  }
}

/** place, tapRow and skip of an input pixel, rows of dy. p.y and p.z: its position plus padding. */
function inputPlaces(stride: number): string {
  const phases = Array.from({ length: stride * stride }, (_, i) => [Math.floor(i / stride), i % stride] as const);
  return `
fn place(q : i32) -> vec4<i32> {
  var rest = min(q, u.rows - 1);
  var phase = 0;
  ${phases
    .slice(0, -1)
    .map(
      ([y, x], i) => `{
    let size = u.images * ((u.height + ${stride - 1 - y}) / ${stride}) * ((u.width + ${stride - 1 - x}) / ${stride});
    if (phase == ${i} && rest >= size) { rest -= size; phase++; }
  }`,
    )
    .join('\n')}
  let offset = vec2<i32>(phase / ${stride}, phase % ${stride});
  let size = (vec2<i32>(u.height, u.width) + ${stride - 1} - offset) / ${stride};
  let image = rest / (size.x * size.y);
  let pixel = rest - image * size.x * size.y;
  let line = pixel / size.y;
  let at = vec2<i32>(line, pixel - line * size.y) * ${stride} + offset;
  return vec4<i32>(image * u.outHeight * u.outWidth, at + u.padding,
                   select(-1, (image * u.height + at.x) * u.width + at.y, q < u.rows));
}
fn tapRow(p : vec4<i32>, tap : vec2<i32>) -> i32 {
  let origin = p.yz - tap;
  let at = origin / ${stride};
  let inside = p.w >= 0 && all(origin >= vec2<i32>(0)) && all(at * ${stride} == origin) && at.x < u.outHeight && at.y < u.outWidth;
  return select(-1, p.x + at.x * u.outWidth + at.y, inside);
}
// Only tiles within one phase: the few that lie across two look at every tap.
fn skip(first : vec4<i32>, last : vec4<i32>, tap : vec2<i32>) -> bool {
  let apart = last.yz - first.yz;
  let origin = first.yz + ${stride}* tap - tap;
  return all(apart % vec2<i32>(${stride}) == vec2<i32>(0)) && any(origin % vec2<i32>(${stride}) != vec2<i32>(0));
}`;
}
