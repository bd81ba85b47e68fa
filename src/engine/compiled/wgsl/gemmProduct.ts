import type { Source } from '../memory.ts';
import type { ViewPiece } from './pieces.ts';
import type { Program } from '../kernels.ts';
import type { Product } from './product.ts';
import { lanesBody } from './gemmLanes.ts';
import { sharedBody } from './gemmShared.ts';
import { threadsOf, tileKey, type Tile } from './gemmTiles.ts';
import { shader } from './shader.ts';
import { factorAt, imageOf, normAt } from './source.ts';

export const PRODUCT_INTEGERS = ['groups', 'tileRows', 'rows', 'n4', 'k4', 'kernel'] as const;

/** What both generators lean on; `End` and `Table` come from the product. */
const RESULT = 'struct Result { value : vec4<f32>, other : vec4<f32> }';

export function productProgram(product: Product, tile: Tile): Program {
  return shader(`${product.name}-${tileKey(tile)}`, {
    storage: product.storage,
    integers: [...PRODUCT_INTEGERS, ...product.integers],
    workgroup: threadsOf(tile),
    ...(tile.kind === 'lanes' ? { directives: 'enable subgroups;' } : {}),
    declarations: `${RESULT}\n${product.declarations}\n${tile.kind === 'shared' ? sharedBody(product, tile).declarations : ''}`,
    body: tile.kind === 'lanes' ? lanesBody(product, tile) : sharedBody(product, tile).body,
  });
}

/** Reading of the left operand: `leftTable` and `left` of a source called `name`; sourceCode(name, …) must be declared. */
export function leftOfSource(name: string, source: Source): string {
  const normed = source.norm !== null;
  const factor = source.factor ? ` * ${factorAt(name, source.factor, imageOf(name, 'at'), 'k4')}` : '';
  return `struct Table { scale : vec4<f32>, shift : vec4<f32> }
fn leftTable(k4 : i32) -> Table { return ${
    normed
      ? `Table(${normAt(name, 'scale', 'k4')}, ${normAt(name, 'shift', 'k4')})`
      : 'Table(vec4<f32>(1.0), vec4<f32>(0.0))'
  }; }
fn left(row : i32, k4 : i32, t : Table) -> vec4<f32> {
  let at = max(row, 0);
  let raw = ${name}_raw(at, k4);
  return select(vec4<f32>(0.0), ${name}_act(${normed ? 'fma(t.scale, raw, t.shift)' : 'raw'})${factor}, row >= 0);
}`;
}

/** The same of a plain view. */
export function leftOfView(view: ViewPiece): string {
  return `struct Table { unused : i32 }
fn leftTable(k4 : i32) -> Table { return Table(0); }
fn left(row : i32, k4 : i32, t : Table) -> vec4<f32> {
  return select(vec4<f32>(0.0), ${view.at('max(row, 0)', 'k4')}, row >= 0);
}`;
}
