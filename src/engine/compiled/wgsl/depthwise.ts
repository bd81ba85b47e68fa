import type { CallOf, Geometry, Partials } from '../calls.ts';
import type { Cost, DeviceTraits, Dispatch, Kernel } from '../kernels.ts';
import { bytesEach, plain, type Range, type Source, type View } from '../memory.ts';
import { epilogueCode, statisticsCode, type TileSums } from './depthwiseSums.ts';
import { backwardWindow, forwardWindow, resultName, upTo, windowCode, type Window } from './depthwiseWindow.ts';
import { heldSource } from './heldSource.ts';
import { viewPiece } from './pieces.ts';
import { arena, parameters, shader } from './shader.ts';
import { sourceCode } from './source.ts';
import { TILE_GROUP, tileGroups, type Tiles } from './tileGroups.ts';
import { inputRows, outputRows } from './windows.ts';

export interface DepthwiseTile {
  /** Results a thread, down and across, before they are rounded up to multiples of a stride. */
  readonly rows: number;
  readonly columns: number;
  /** Of the filter's gradient: output columns of which a thread holds the values at a time. */
  readonly filterColumns: number;
  /** Whether sums over rows are made beside the results. */
  readonly sums: boolean;
}

/** Values are shared across; two rows share those between them. With sums, lavapipe compiles three times as long, for five seconds or more. */
export function depthwiseTile({ software }: Pick<DeviceTraits, 'software'>): DepthwiseTile {
  return { rows: 2, columns: 4, filterColumns: software ? 2 : 4, sums: !software };
}

const WORKGROUP = 64;

type Depthwise = CallOf<'depthwise'>;
type InputGradient = CallOf<'depthwiseInputGradient'>;

/** Depthwise convolution: a thread makes a tile of one four of channels. Neighbouring threads are neighbouring channels. */
export function depthwiseKernel(tile: DepthwiseTile): Kernel<Depthwise> {
  const tilesOf = ({ images, outHeight, outWidth, out }: Depthwise): Tiles => ({
    images,
    height: outHeight,
    width: outWidth,
    fours: out.channels / 4,
    down: tile.rows,
    across: tile.columns,
  });
  return {
    cost: (call) => windowCost(call, call.source.view, call.out, call.source),
    ...(tile.sums && { tileRows: (call: Depthwise) => tileRows(tilesOf(call)) }),
    dispatches(call) {
      const { kernel, stride, padding, source, out, statistics } = call;
      return windowDispatches(`depthwise-${kernel}-${stride}`, {
        window: forwardWindow(kernel, stride, tile.rows, tile.columns),
        tiles: tilesOf(call),
        read: { source, height: call.height, width: call.width },
        out,
        accumulate: false,
        weight: call.weight,
        bias: call.bias,
        base: { step: stride, back: padding },
        sums: statistics && { ...statisticsCode, partials: statistics },
      });
    },
  };
}

/** Gathers: each input pixel asks which outputs have read it. */
export function depthwiseInputGradientKernel(tile: DepthwiseTile): Kernel<InputGradient> {
  const tilesOf = ({ images, height, width, stride, out }: InputGradient): Tiles => ({
    images,
    height,
    width,
    fours: out.channels / 4,
    down: multiple(tile.rows, stride),
    across: multiple(tile.columns, stride),
  });
  return {
    cost(call) {
      const { out, dy, epilogue, accumulate } = call;
      const { flops, bytes } = windowCost(call, out, dy, null);
      const beside = epilogue ? bytesEach(epilogue.source.view) : accumulate ? bytesEach(out) : 0;
      return { flops, bytes: bytes + inputRows(call) * out.channels * beside };
    },
    ...(tile.sums && { tileRows: (call: InputGradient) => tileRows(tilesOf(call)) }),
    dispatches(call) {
      const { kernel, stride, padding, dy, out, accumulate, epilogue } = call;
      const tiles = tilesOf(call);
      return windowDispatches(`depthwiseInputGradient-${kernel}-${stride}-${padding}`, {
        window: backwardWindow(kernel, stride, padding, tiles.down, tiles.across),
        tiles,
        read: { source: plain(dy), height: call.outHeight, width: call.outWidth },
        out,
        accumulate,
        weight: call.weight,
        bias: null,
        base: { step: 1 / stride, back: 0 },
        sums: epilogue && { ...epilogueCode(epilogue.source, call), partials: epilogue.sums },
      });
    },
  };
}

/** Whole lines. */
function tileRows(tiles: Tiles): number {
  return tileGroups(tiles).lines * tiles.width;
}

interface WindowCall {
  readonly window: Window;
  /** Of the results. */
  readonly tiles: Tiles;
  readonly read: { readonly source: Source; readonly height: number; readonly width: number };
  readonly out: View;
  readonly accumulate: boolean;
  readonly weight: Range;
  readonly bias: Range | null;
  /** A tile's base is step · its first result − back. */
  readonly base: { readonly step: number; readonly back: number };
  readonly sums: (TileSums & { readonly partials: Partials }) | null;
}

function windowDispatches(kind: string, call: WindowCall): readonly Dispatch[] {
  const { window, tiles, read, out, weight, bias, base, sums } = call;
  const { source } = read;
  const { images, height, width, fours, down, across } = tiles;
  const tilesX = Math.ceil(width / across);
  const tilesY = Math.ceil(height / down);
  const code = sourceCode('source', source, read.height * read.width);
  // Parameters may all be in one memory, which is bound once.
  const apart = bias !== null && bias.memory !== weight.memory;
  const [top, bottom] = window.reach(window.rows);
  const threads = images * tilesY * tilesX * fours;
  const groups = sums && tileGroups(tiles);
  const integers = {
    fours,
    top,
    bottom,
    tilesX,
    down: down * base.step,
    across: across * base.step,
    back: base.back,
    height: read.height,
    width: read.width,
    outHeight: height,
    outWidth: width,
    weightFirst: weight.offset / 4,
    biasFirst: (bias?.offset ?? 0) / 4,
    ...(sums && groups
      ? {
          lanes: groups.lanes,
          chunks: groups.chunks,
          places: groups.places,
          bands: groups.bands,
          bandTiles: Math.ceil(groups.lines / down),
          groups: groups.chunks * groups.bands * images,
          partialsStride: sums.partials.matrix.channels / 4,
        }
      : { threads, tilesY }),
  };
  const held = heldSource('source', source);
  const result = viewPiece('result', out);
  const first = bias === null ? 'vec4<f32>(0.0)' : `${apart ? 'bias' : 'weight'}[u.biasFirst + c4]`;
  const results = upTo(window.rows).flatMap((row) => upTo(window.columns).map((column) => [row, column] as const));
  const eachResult = (write: (result: string) => string): string =>
    results
      .map(
        ([row, column]) => `{
    let y = tileY * ${window.rows} + ${row};
    let x = tileX * ${window.columns} + ${column};
    if (y < u.outHeight && x < u.outWidth) {
      let pixel = (image * u.outHeight + y) * u.outWidth + x;
      ${write(resultName(row, column))}
    }
  }`,
      )
      .join('\n  ');
  const make = `
  let baseY = tileY * u.down - u.back;
  let baseX = tileX * u.across - u.back;
  ${results.map(([row, column]) => `var ${resultName(row, column)} = first;`).join('\n  ')}
  ${windowCode(window, held.value, (tap) => `weight[u.weightFirst + ${tap} * u.fours + c4]`)}
  ${sums?.begin ?? ''}
  ${eachResult((name) => `${sums?.each(name, result.rounded(name)) ?? ''}${result.set(`${call.accumulate ? `${result.at('pixel')} + ` : ''}${name}`, 'pixel')}`)}
  ${sums?.end(eachResult) ?? ''}`;
  const ofThread = `
  let first = ${first};
  ${held.channel}
  ${held.image}
  ${sums?.channel ?? ''}`;
  const body =
    sums === null
      ? `
  if (index >= u.threads) { return; }
  let c4 = index % u.fours;
  let tile = index / u.fours;
  let tileX = tile % u.tilesX;
  let tileY = (tile / u.tilesX) % u.tilesY;
  let image = tile / (u.tilesX * u.tilesY);
  ${ofThread}
  ${make}`
      : `
  let chunk = group % u.chunks;
  let band = (group / u.chunks) % u.bands;
  let image = group / (u.chunks * u.bands);
  let place = lane / u.lanes;
  let c4 = chunk * u.lanes + lane % u.lanes;
  let works = group < u.groups && place < u.places && c4 < u.fours;
  var part = Part();
  if (works) {
  ${ofThread}
  for (var tile = place; tile < u.tilesX * u.bandTiles; tile += u.places) {
  let tileX = tile % u.tilesX;
  let tileY = band * u.bandTiles + tile / u.tilesX;
  ${make}
  }
  }
  ${sums.part.reduce}
  if (works && place == 0) {
    let row = 2 * (image * u.bands + band);
    partials[row * u.partialsStride + c4] = part.first;
    partials[(row + 1) * u.partialsStride + c4] = part.second;
  }`;
  const how = bias === null ? '' : apart ? '-bias' : '-biasBeside';
  const program = shader(
    `${kind}-${down}×${across}-${code.key}${how}${call.accumulate ? '-accumulate' : ''}${sums ? `-${sums.key}` : ''}`,
    {
      storage: [
        ...code.storage,
        parameters('weight'),
        ...(apart ? [parameters('bias')] : []),
        ...result.storage,
        ...(sums ? [...sums.storage, arena('partials')] : []),
      ],
      integers: [...Object.keys(integers), ...result.integers, ...code.integers, ...(sums?.integers ?? [])],
      workgroup: sums ? TILE_GROUP : WORKGROUP,
      declarations: `${code.code}${sums ? sums.part.declarations + sums.declarations : ''}`,
      body,
    },
  );
  return [
    {
      program,
      memories: [
        ...code.memories,
        weight.memory,
        ...(apart ? [bias.memory] : []),
        ...result.memories,
        ...(sums ? [...sums.memories, sums.partials.matrix] : []),
      ],
      integers: [...Object.values(integers), ...result.values, ...code.values, ...(sums?.values ?? [])],
      workgroups: groups ? groups.chunks * groups.bands * images : Math.ceil(threads / WORKGROUP),
    },
  ];
}

/** The least multiple of `of` that is `least` or more. */
function multiple(least: number, of: number): number {
  return Math.ceil(least / of) * of;
}

/** Of one reading of the view at the input, one writing of that at the output or the other way round, and the weights. */
export function windowCost(call: Geometry, input: View, output: View, source: Source | null): Cost {
  const { kernel } = call;
  const { channels } = output;
  const weights = kernel * kernel * channels;
  const table = source?.norm ? 2 * channels : 0;
  return {
    flops: 2 * weights * outputRows(call),
    bytes:
      channels * (inputRows(call) * bytesEach(input) + outputRows(call) * bytesEach(output)) + 4 * (weights + table),
  };
}
