import type { CallOf, Geometry } from '../calls.ts';
import type { Dispatch, Kernel, Program } from '../kernels.ts';
import { plain, type Range, type Source, type View } from '../memory.ts';
import { backwardWindow, forwardWindow, resultName, upTo, windowCode, type Window } from './depthwiseWindow.ts';
import { heldSource } from './heldSource.ts';
import { arena, parameters, shader } from './shader.ts';
import { sourceCode } from './source.ts';

/** Results a thread. Values are shared across; two rows share those between them, more cost registers. */
const COLUMNS = 4;
const ROWS = 2;

const WORKGROUP = 64;

/** Depthwise convolution: a thread makes a tile of one four of channels. Neighbouring threads are neighbouring channels. */
export const depthwise: Kernel<CallOf<'depthwise'>> = {
  cost: (call) => windowCost(call, call.source),
  dispatches(call) {
    if (call.statistics) throw new Error(`${call.node}: depthwise makes no statistics.`);
    const { kernel, stride, padding, source, out } = call;
    const window = forwardWindow(kernel, stride, ROWS, COLUMNS);
    return windowDispatches(`depthwise-${kernel}-${stride}`, window, {
      read: { source, height: call.height, width: call.width },
      written: { view: out, height: call.outHeight, width: call.outWidth, accumulate: false },
      images: call.images,
      weight: call.weight,
      bias: call.bias,
      base: { step: stride, back: padding },
    });
  },
};

/** Gathers: each input pixel asks which outputs have read it. */
export const depthwiseInputGradient: Kernel<CallOf<'depthwiseInputGradient'>> = {
  cost(call) {
    const { flops, bytes } = windowCost(call, null);
    return { flops, bytes: bytes + (call.accumulate ? inputFloats(call, call.out.channels) * 4 : 0) };
  },
  dispatches(call) {
    if (call.epilogue) throw new Error(`${call.node}: depthwiseInputGradient has no epilogue.`);
    const { kernel, stride, padding, dy, out, accumulate } = call;
    const window = backwardWindow(kernel, stride, padding, multiple(ROWS, stride), multiple(COLUMNS, stride));
    return windowDispatches(`depthwiseInputGradient-${kernel}-${stride}-${padding}`, window, {
      read: { source: plain(dy), height: call.outHeight, width: call.outWidth },
      written: { view: out, height: call.height, width: call.width, accumulate },
      images: call.images,
      weight: call.weight,
      bias: null,
      base: { step: 1, back: 0 },
      tilesPerBase: stride,
    });
  },
};

interface WindowCall {
  readonly read: { readonly source: Source; readonly height: number; readonly width: number };
  readonly written: {
    readonly view: View;
    readonly height: number;
    readonly width: number;
    readonly accumulate: boolean;
  };
  readonly images: number;
  readonly weight: Range;
  readonly bias: Range | null;
  /** A tile's base is its first result / `tilesPerBase` · step − back. */
  readonly base: { readonly step: number; readonly back: number };
  readonly tilesPerBase?: number;
}

function windowDispatches(kind: string, window: Window, call: WindowCall): readonly Dispatch[] {
  const { read, written, images, weight, bias, base } = call;
  const { source } = read;
  const fours = written.view.channels / 4;
  const tilesX = Math.ceil(written.width / window.columns);
  const tilesY = Math.ceil(written.height / window.rows);
  const threads = images * tilesY * tilesX * fours;
  const code = sourceCode('source', source, read.height * read.width);
  // Parameters may all be in one memory, which is bound once.
  const apart = bias !== null && bias.memory !== weight.memory;
  const perBase = call.tilesPerBase ?? 1;
  const [down, across] = [window.rows / perBase, window.columns / perBase].map((each) => each * base.step);
  const [top, bottom] = window.reach(window.rows);
  const integers = {
    threads,
    fours,
    top,
    bottom,
    tilesX,
    tilesY,
    down: down!,
    across: across!,
    back: base.back,
    height: read.height,
    width: read.width,
    outHeight: written.height,
    outWidth: written.width,
    outStride: written.view.matrix.channels / 4,
    outFirst: written.view.first / 4,
    weightFirst: weight.offset / 4,
    biasFirst: (bias?.offset ?? 0) / 4,
  };
  const how = bias === null ? '' : apart ? '-bias' : '-biasBeside';
  const name = `${kind}-${code.key}${how}${written.accumulate ? '-accumulate' : ''}`;
  const program = (): Program => {
    const held = heldSource('source', source);
    const results = upTo(window.rows).flatMap((row) => upTo(window.columns).map((column) => [row, column] as const));
    const first = bias === null ? 'vec4<f32>(0.0)' : `${apart ? 'bias' : 'weight'}[u.biasFirst + c4]`;
    return shader(name, {
      storage: [...code.storage, parameters('weight'), ...(apart ? [parameters('bias')] : []), arena('result')],
      integers: [...Object.keys(integers), ...code.integers],
      workgroup: WORKGROUP,
      declarations: code.code,
      body: `
  if (index >= u.threads) { return; }
  let c4 = index % u.fours;
  let tile = index / u.fours;
  let tileX = tile % u.tilesX;
  let tileY = (tile / u.tilesX) % u.tilesY;
  let image = tile / (u.tilesX * u.tilesY);
  let baseY = tileY * u.down - u.back;
  let baseX = tileX * u.across - u.back;
  let first = ${first};
  ${held.channel}
  ${held.image}
  ${results.map(([row, column]) => `var ${resultName(row, column)} = first;`).join('\n  ')}
  ${windowCode(window, held.value, (tap) => `weight[u.weightFirst + ${tap} * u.fours + c4]`)}
  ${results
    .map(
      ([row, column]) => `{
    let y = tileY * ${window.rows} + ${row};
    let x = tileX * ${window.columns} + ${column};
    if (y < u.outHeight && x < u.outWidth) {
      let at = ((image * u.outHeight + y) * u.outWidth + x) * u.outStride + u.outFirst + c4;
      result[at] = ${written.accumulate ? 'result[at] + ' : ''}${resultName(row, column)};
    }
  }`,
    )
    .join('\n  ')}`,
    });
  };
  return [
    {
      program: program(),
      memories: [...code.memories, weight.memory, ...(apart ? [bias.memory] : []), written.view.matrix],
      integers: [...Object.values(integers), ...code.values],
      workgroups: Math.ceil(threads / WORKGROUP),
    },
  ];
}

/** The least multiple of `of` that is `least` or more. */
function multiple(least: number, of: number): number {
  return Math.ceil(least / of) * of;
}

function inputFloats({ images, height, width }: Geometry, channels: number): number {
  return images * height * width * channels;
}

/** Of one reading of the input, one writing of the output or the other way round, and the weights. */
export function windowCost(
  call: CallOf<'depthwise'> | CallOf<'depthwiseInputGradient'> | CallOf<'depthwiseFilterGradient'>,
  source: Source | null,
): { flops: number; bytes: number } {
  const { images, outHeight, outWidth, kernel } = call;
  const channels = 'dy' in call ? call.dy.channels : call.out.channels;
  const outputs = images * outHeight * outWidth * channels;
  const weights = kernel * kernel * channels;
  const table = source?.norm ? 2 * channels : 0;
  return {
    flops: 2 * kernel * kernel * outputs,
    bytes: 4 * (inputFloats(call, channels) + outputs + weights + table),
  };
}
