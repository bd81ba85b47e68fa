import {
  filterTiles,
  productTiles,
  sharedTiles,
  tileKey,
  tiles,
  type FilterCut,
  type FilterShape,
  type ProductShape,
  type Tile,
  type Tiling,
} from '../wgsl/gemmTiles.ts';
import type { DeviceTraits } from '../kernels.ts';
import { classOf, type Shape } from './products.ts';

/**
 * A way to cut a product, by name: a tile's (`shared64x64-8x8-ahead`), for filters' gradients with `enough` behind it
 * (`shared64x64-8x8/512`).
 */
export type CutName = string;

/** By class of shapes (products.ts): the cut that is quicker than the default, null where the default is as good. */
export type Chosen = Readonly<Record<string, CutName | null>>;

/** Below so many workgroups the sum of a filter's gradient is cut into slices; the second one for large tiles only. */
const ENOUGH = [512, 1024] as const;
const LARGE = 64 * 64;
/** A cut whose tiles compute this many times what the tightest ones do is not tried. */
const MOST_WASTE = 1.5;

const names = new Map<string, Tile>([...sharedTiles, ...Object.values(tiles)].map((tile) => [tileKey(tile), tile]));

/** What is tried for a shape beside the default. */
export function candidatesOf(shape: Shape, given?: readonly Tile[]): CutName[] {
  const tried = given ?? (shape.kind === 'convFilterGradient' ? filterTiles : productTiles);
  const cover = (tile: Tile): number =>
    Math.ceil(shape.rows / tile.rows) * tile.rows * Math.ceil(shape.columns / tile.columns) * tile.columns;
  const least = Math.min(...tried.map(cover));
  return tried
    .filter((tile) => cover(tile) <= MOST_WASTE * least)
    .flatMap((tile) => {
      const name = tileKey(tile);
      if (shape.kind !== 'convFilterGradient') return [name];
      const isLarge = tile.kind === 'shared' && tile.rows * tile.columns >= LARGE;
      return ENOUGH.slice(0, isLarge ? 2 : 1).map((enough) => `${name}/${enough}`);
    });
}

/** The cut of this name; null: there is none, or not on this device. */
function cutOf(name: CutName, traits: DeviceTraits): FilterCut | null {
  const [tileName = '', enough] = name.split('/');
  const tile = names.get(tileName);
  if (tile === undefined || (tile.kind === 'lanes' && !traits.subgroups)) return null;
  return { tile, enough: Math.max(1, Number(enough ?? ENOUGH[0]) || 1) };
}

/** Everything is cut so. @throws Error where there is no such cut on this device. */
export function tilingBy(name: CutName, traits: DeviceTraits): Tiling {
  const cut = cutOf(name, traits);
  if (cut === null) throw new Error(`No cut is named ${name} here.`);
  return { product: () => cut.tile, filter: () => cut };
}

/** As chosen; as `usual` where nothing was, or where what was chosen isn't known (a page of another version chose). */
export function tunedTiling(usual: Tiling, chosen: Chosen, traits: DeviceTraits): Tiling {
  const chosenFor = (shape: Shape): FilterCut | null => {
    const key = classOf(shape);
    const name = Object.hasOwn(chosen, key) ? chosen[key] : null;
    return typeof name === 'string' ? cutOf(name, traits) : null;
  };
  return {
    product: (shape: ProductShape) => chosenFor(shape)?.tile ?? usual.product(shape),
    filter: (shape: FilterShape) => chosenFor({ kind: 'convFilterGradient', ...shape }) ?? usual.filter(shape),
  };
}

/** What was stored, as far as it is one: nothing else is believed of a file. */
export function chosenOf(stored: unknown): Chosen {
  if (typeof stored !== 'object' || stored === null) return {};
  return Object.fromEntries(
    Object.entries(stored).filter(([, name]) => name === null || typeof name === 'string'),
  ) as Chosen;
}
