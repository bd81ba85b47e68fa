import type { CallOf } from '../calls.ts';
import type { Dispatch, Kernel, Program } from '../kernels.ts';
import { windowCost, type DepthwiseTile } from './depthwise.ts';
import { upTo } from './depthwiseWindow.ts';
import { heldSource } from './heldSource.ts';
import { viewPiece, type ViewPiece } from './pieces.ts';
import { arena, shader } from './shader.ts';
import { sliceSums } from './sliceSums.ts';
import { sourceCode } from './source.ts';

const WORKGROUP = 64;
/** Enough to fill a large GPU; a slice is one output row at least. */
const THREADS = 32768;
const MOST_SLICES = 1024;

type FilterGradient = CallOf<'depthwiseFilterGradient'>;

/**
 * Output rows are cut into slices; a thread adds up one row of taps of one four of channels over a slice, sliding along x, so that each
 * value is loaded (and its activation made) once for all taps of the row. Slices are `[kernel², channels]`, and added up later (sliceSums.ts),
 * or at once from scratch memory.
 */
export function depthwiseFilterGradientKernel({
  filterColumns: columns,
}: Pick<DepthwiseTile, 'filterColumns'>): Kernel<FilterGradient> {
  return {
    cost(call) {
      const { flops, bytes } = windowCost(call, call.source.view, call.dy, call.source);
      return { flops, bytes: bytes + 4 * (call.slices ? 1 : 2) * sliceFloats(call) };
    },
    slices: (call) => slicesOf(call).slices,
    scratch: (call) => (call.slices ? 0 : sliceFloats(call)),
    dispatches(call, scratch) {
      const into = call.slices ?? (scratch && { memory: scratch, first: 0 });
      if (!into) throw new Error(`${call.node}: the slices of a filter gradient need memory.`);
      const { kernel, stride, source, dy, gradient } = call;
      const { slices, each } = slicesOf(call);
      const fours = dy.channels / 4;
      const threads = slices * kernel * fours;
      const code = sourceCode('source', source, call.height * call.width);
      const slope = viewPiece('dy', dy);
      const integers = {
        threads,
        fours,
        each,
        rows: call.images * call.outHeight,
        padding: call.padding,
        height: call.height,
        width: call.width,
        outHeight: call.outHeight,
        outWidth: call.outWidth,
        slicesFirst: into.first / 4,
      };
      const product: Dispatch = {
        program: slicesProgram(call, Object.keys(integers)),
        memories: [...code.memories, ...slope.memories, into.memory],
        integers: [...Object.values(integers), ...slope.values, ...code.values],
        workgroups: Math.ceil(threads / WORKGROUP),
      };
      if (call.slices) return [product];
      const filter = { first: 0, count: slices, floats: 4 * kernel * kernel * fours, gradient };
      return [product, sliceSums(into.memory, [filter], false)];

      function slicesProgram(ofCall: FilterGradient, names: readonly string[]): Program {
        return shader(`depthwiseFilterGradient-${columns}-${kernel}-${stride}-${code.key}`, {
          storage: [...code.storage, ...slope.storage, arena('slices')],
          integers: [...names, ...slope.integers, ...code.integers],
          workgroup: WORKGROUP,
          declarations: code.code,
          body: slicesBody(ofCall, columns, slope),
        });
      }
    },
  };
}

/** `columns` of the output of which a thread holds the values at a time. */
function slicesBody({ kernel, stride, source }: FilterGradient, columns: number, dy: ViewPiece): string {
  const held = heldSource('source', source);
  const taps = upTo(kernel);
  // Of the values of a chunk, these are those of the next one, too.
  const carried = Math.max(0, kernel - stride);
  const width = (columns - 1) * stride + kernel;
  const load = (i: number, x: string): string =>
    `{
      let x = ${x};
      value${i} = select(vec4<f32>(0.0), ${held.value('line + clamp(x, 0, u.width - 1)')}, x >= 0 && x < u.width);
    }`;
  const read = (i: number): boolean => i % stride < kernel;
  return `
  if (index >= u.threads) { return; }
  let c4 = index % u.fours;
  let ky = (index / u.fours) % ${kernel};
  let slice = index / (u.fours * ${kernel});
  ${held.channel}
  ${taps.map((kx) => `var sum${kx} = vec4<f32>(0.0);`).join('\n  ')}
  ${upTo(width)
    .map((i) => `var value${i} = vec4<f32>(0.0);`)
    .join('\n  ')}
  for (var row = slice * u.each; row < min((slice + 1) * u.each, u.rows); row++) {
    let image = row / u.outHeight;
    let y = (row % u.outHeight) * ${stride} - u.padding + ky;
    if (y < 0 || y >= u.height) { continue; }
    let line = (image * u.height + y) * u.width;
    ${held.image}
    ${upTo(carried)
      .filter(read)
      .map((i) => load(i, `${i} - u.padding`))
      .join('\n    ')}
    for (var column = 0; column < u.outWidth; column += ${columns}) {
      ${upTo(width)
        .slice(carried)
        .filter(read)
        .map((i) => load(i, `column * ${stride} - u.padding + ${i}`))
        .join('\n      ')}
      ${upTo(columns)
        .map(
          (p) => `{
      let at = min(column + ${p}, u.outWidth - 1);
      let slope = select(vec4<f32>(0.0), ${dy.at('row * u.outWidth + at')}, at == column + ${p});
      ${taps.map((kx) => `sum${kx} = fma(value${p * stride + kx}, slope, sum${kx});`).join(' ')}
      }`,
        )
        .join('\n      ')}
      ${upTo(carried)
        .map((i) => `value${i} = value${i + columns * stride};`)
        .join(' ')}
    }
  }
  let at = u.slicesFirst + (slice * ${kernel * kernel} + ky * ${kernel}) * u.fours + c4;
  ${taps.map((kx) => `slices[at + ${kx} * u.fours] = sum${kx};`).join('\n  ')}`;
}

function slicesOf({ images, outHeight, kernel, dy }: FilterGradient): { slices: number; each: number } {
  const rows = images * outHeight;
  const wanted = Math.ceil(THREADS / ((dy.channels / 4) * kernel));
  const each = Math.ceil(rows / Math.min(rows, MOST_SLICES, wanted));
  return { slices: Math.ceil(rows / each), each };
}

function sliceFloats(call: FilterGradient): number {
  return slicesOf(call).slices * call.kernel ** 2 * call.dy.channels;
}
