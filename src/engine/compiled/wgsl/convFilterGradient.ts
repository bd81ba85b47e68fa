import type { CallOf } from '../calls.ts';
import type { Dispatch, Kernel, Program } from '../kernels.ts';
import { geometryIntegers, GEOMETRY_INTEGERS, isPointwise, key, productCost } from './conv.ts';
import { filterDepth, filterLanesBody, filterSharedBody, type FilterBody } from './gemmFilter.ts';
import { leftOfSource } from './gemmProduct.ts';
import { groupsOf, threadsOf, tileKey, type Tile, type Tiling } from './gemmTiles.ts';
import { viewPiece, type ViewPiece } from './pieces.ts';
import { arena, shader } from './shader.ts';
import { sliceSums } from './sliceSums.ts';
import { sourceCode, type SourceCode } from './source.ts';
import { outputRows } from './windows.ts';

type FilterGradient = CallOf<'convFilterGradient'>;

/** Below it a slice is not worth the reduction. */
const LEAST_SLICE_ROWS = 128;

/**
 * The filter's gradient as a product whose rows are (ky, kx, input channel) and whose k runs over output pixels. Where there are too few
 * tiles, pixels are cut into slices whose products are added up later (sliceSums.ts), or at once from scratch memory.
 */
export function convFilterGradientKernel(tiling: Tiling): Kernel<FilterGradient> {
  return {
    cost: (call) => {
      const cost = productCost(call, call.source.view, call.dy);
      const weights = filterFloats(call);
      const { slices } = plan(call);
      const moved = call.slices ? (slices - 1) * weights : weights + (slices > 1 ? 2 * slices * weights : 0);
      return { flops: cost.flops, bytes: cost.bytes + 4 * moved };
    },
    slices: (call) => plan(call).slices,
    scratch,
    dispatches(call, scratchMatrix) {
      const { tile, slices, sliceRows, groups } = plan(call);
      const { source, dy, gradient } = call;
      const own = scratchMatrix && { memory: scratchMatrix, first: 0 };
      const into = slices > 1 ? (call.slices ?? own) : { memory: gradient.memory, first: gradient.offset };
      if (!into) throw new Error(`${call.node}: a filter gradient in slices needs memory for them.`);
      const input = sourceCode('source', source, call.height * call.width);
      const depth = filterDepth(tile);
      const pixels = call.outHeight * call.outWidth;
      const inImage = depth % pixels;
      const slope = viewPiece('dy', dy);
      const product: Dispatch = {
        program: productOf(tile, isPointwise(call, tile), slices > 1, input, leftOfSource('source', source), slope),
        memories: [...input.memories, ...slope.memories, into.memory],
        integers: [
          ...[
            groups,
            tile.rows,
            groups / slices,
            outputRows(call),
            sliceRows,
            dy.channels / 4,
            source.view.channels / 4,
            call.kernel,
          ],
          ...geometryIntegers(call),
          ...[Math.floor(depth / pixels), Math.floor(inImage / call.outWidth), inImage % call.outWidth],
          ...input.values,
          ...[...slope.values, into.first / 4],
        ],
        workgroups: groups,
      };
      if (slices === 1 || call.slices) return [product];
      const filter = { first: 0, count: slices, floats: filterFloats(call), gradient };
      return [product, sliceSums(into.memory, [filter], false)];
    },
  };

  function plan(call: FilterGradient): { tile: Tile; slices: number; sliceRows: number; groups: number } {
    const left = call.kernel * call.kernel * call.source.view.channels;
    const rows = outputRows(call);
    const { tile, enough } = tiling.filter({ rows: left, columns: call.dy.channels, depth: rows });
    const tiles = groupsOf(tile, left, call.dy.channels);
    const wanted = Math.ceil(enough / tiles);
    const most = Math.max(1, Math.floor(rows / LEAST_SLICE_ROWS));
    const depth = filterDepth(tile);
    const sliceRows = Math.ceil(rows / Math.min(wanted, most) / depth) * depth;
    const slices = Math.ceil(rows / sliceRows);
    return { tile, slices, sliceRows, groups: tiles * slices };
  }

  function scratch(call: FilterGradient): number {
    const { slices } = plan(call);
    return slices > 1 && !call.slices ? slices * filterFloats(call) : 0;
  }
}

function filterFloats(call: FilterGradient): number {
  return call.kernel * call.kernel * call.source.view.channels * call.dy.channels;
}

function productOf(
  tile: Tile,
  pointwise: boolean,
  sliced: boolean,
  input: SourceCode,
  left: string,
  dy: ViewPiece,
): Program {
  const body: FilterBody = tile.kind === 'lanes' ? filterLanesBody(tile, pointwise) : filterSharedBody(tile, pointwise);
  const name = `convFilterGradient${pointwise ? '1x1' : ''}${key(input.key)}${sliced ? '-slices' : ''}-${tileKey(tile)}`;
  return shader(name, {
    storage: [...input.storage, ...dy.storage, arena('into')],
    integers: [
      ...['groups', 'tileRows', 'sliceGroups', 'rows', 'sliceRows', 'n4', 'c4', 'kernel'],
      ...GEOMETRY_INTEGERS,
      ...['stepImage', 'stepY', 'stepX'],
      ...input.integers,
      ...[...dy.integers, 'intoFirst'],
    ],
    workgroup: threadsOf(tile),
    ...(tile.kind === 'lanes' ? { directives: 'enable subgroups;' } : {}),
    declarations: `${input.code}
${left}
fn dyAt(row : i32, n4 : i32) -> vec4<f32> { return ${dy.at('row', 'n4')}; }
${pixelCode}
fn put(slice : i32, row : i32, n4 : i32, sum : vec4<f32>) {
  let at = row * u.n4 + n4;
  ${sliced ? 'into[u.intoFirst + slice * u.kernel * u.kernel * u.c4 * 4 * u.n4 + at] = sum;' : 'into[u.intoFirst + at] += sum;'}
}
${body.declarations}`,
    body: body.body,
  });
}

/** Walking over output pixels in steps of u.stepImage, u.stepY, u.stepX: (image, y, x), without a division. */
const pixelCode = `
fn pixelOf(row : i32) -> vec3<i32> {
  let pixels = u.outHeight * u.outWidth;
  let image = row / pixels;
  let y = (row - image * pixels) / u.outWidth;
  return vec3<i32>(image, y, row - image * pixels - y * u.outWidth);
}
fn stepped(p : vec3<i32>) -> vec3<i32> {
  var q = p + vec3<i32>(u.stepImage, u.stepY, u.stepX);
  if (q.z >= u.outWidth) { q.z -= u.outWidth; q.y++; }
  if (q.y >= u.outHeight) { q.y -= u.outHeight; q.x++; }
  return q;
}
fn tapRow(p : vec3<i32>, tap : vec2<i32>) -> i32 {
  let at = p.yz * u.stride - u.padding + tap;
  let inside = all(at >= vec2<i32>(0)) && at.x < u.height && at.y < u.width;
  return select(-1, (p.x * u.height + at.x) * u.width + at.y, inside);
}`;
