/**
 * Code of a thread that makes a tile of results, each a sum over taps, of one map: for each value that any of them reads, loaded once,
 * `result += value · weight[tap]` for all that do. Forward and input gradient differ in which tap joins a result and a value.
 * Rows are a loop, of bounds that no compiler knows, columns are written out: the whole window written out takes some compilers a minute.
 */
export interface Window {
  readonly kernel: number;
  /** Results a thread, down and across. */
  readonly rows: number;
  readonly columns: number;
  /** Offsets of the values that results 0 … count − 1 of an axis read, counted from the tile's base: first and last. */
  reach(count: number): readonly [first: number, last: number];
  /** The tap by which a result reads the value at an offset, `factors[0] · result + factors[1] · offset + factors[2]`; outside of
   * 0 … kernel − 1: it doesn't. */
  readonly tap: readonly [result: number, offset: number, constant: number];
}

/** Output pixels of a convolution; the base is stride · (first output) − padding. */
export function forwardWindow(kernel: number, stride: number, rows: number, columns: number): Window {
  return { kernel, rows, columns, reach: (count) => [0, (count - 1) * stride + kernel - 1], tap: [-stride, 1, 0] };
}

/** Input pixels of a convolution, which read outputs; rows and columns are multiples of the stride, the base is (first input) / stride. */
export function backwardWindow(kernel: number, stride: number, padding: number, rows: number, columns: number): Window {
  return {
    kernel,
    rows,
    columns,
    reach: (count) => [Math.ceil((padding - kernel + 1) / stride), Math.floor((count - 1 + padding) / stride)],
    tap: [1, -stride, padding],
  };
}

export const resultName = (row: number, column: number): string => `result${row}_${column}`;

/**
 * Statements that add to `resultR_C`. They see `baseY`, `baseX`, `image`, `c4`; of `u` the `height` and `width` of the map that is read and
 * the `top` and `bottom` of the window's reach down. `value` makes the expression of the value at a pixel, `weight` that of a tap's.
 */
export function windowCode(window: Window, value: (pixel: string) => string, weight: (tap: string) => string): string {
  const { kernel } = window;
  const [left, right] = window.reach(window.columns);
  const [ofResult, ofOffset, constant] = window.tap;
  /** Pairs of a result's column and the offset of a value that meet at a tap. */
  const pairs = upTo(kernel).map((kx) =>
    upTo(window.columns).flatMap((column) =>
      upTo(right - left + 1).flatMap((x) =>
        ofResult * column + ofOffset * (x + left) + constant === kx ? [[column, x] as const] : [],
      ),
    ),
  );
  const loads = upTo(right - left + 1)
    .filter((x) => pairs.flat().some(([, offset]) => offset === x))
    .map((x) => {
      const at = `baseX + ${x + left}`;
      const inside = `${at} >= 0 && ${at} < u.width`;
      const loaded = value(`line + clamp(${at}, 0, u.width - 1)`);
      return `let value${x} = select(vec4<f32>(0.0), ${loaded}, ${inside});`;
    });
  const sums = upTo(window.rows).map(
    (row) => `{
      let ky = ${ofResult * row + constant} + ${ofOffset} * offset;
      if (ky >= 0 && ky < ${kernel}) {
        ${pairs
          .flatMap((some, kx) => {
            if (some.length === 0) return [];
            const terms = some.map(([column, x]) => {
              const result = resultName(row, column);
              return `${result} = fma(value${x}, weight${kx}, ${result});`;
            });
            return [`let weight${kx} = ${weight(`(ky * ${kernel} + ${kx})`)};`, ...terms];
          })
          .join('\n        ')}
      }
    }`,
  );
  return `for (var offset = u.top; offset <= u.bottom; offset++) {
    let y = baseY + offset;
    if (y < 0 || y >= u.height) { continue; }
    let line = (image * u.height + y) * u.width;
    ${loads.join('\n    ')}
    ${sums.join('\n    ')}
  }`;
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
