import type { TensorInfo } from '@tensorflow/tfjs';
import { allocate, free } from './heap.ts';
import { add, matrixProduct, transposed, withRegion, type Region } from './vectors.ts';

/** Rows that are turned and packed at a time, about. */
const atOnce = 2048;

/** xᵀ · y: `[rows, m]` and `[rows, n]` → `[m, n]`. What is to be packed, the costlier copy, is the narrower of the two. */
export function productOverRows(x: TensorInfo, y: TensorInfo, rows: number, m: number, n: number): TensorInfo {
  if (m >= n) return productOf(x, y, rows, m, n);
  const swapped = productOf(y, x, rows, n, m);
  const result = allocate([m, n]);
  withRegion(swapped, 0, m * n, (source) => withRegion(result, 0, m * n, (target) => transposed(source, m, target)));
  free(swapped);
  return result;
}

function productOf(x: TensorInfo, y: TensorInfo, rows: number, m: number, n: number): TensorInfo {
  const step = uncrowded(Math.ceil(rows / Math.ceil(rows / atOnce)));
  const result = allocate([m, n]);
  const turned = allocate([m * Math.min(step, rows)]);
  const sum = summing(result);
  for (let first = 0; first < rows; first += step) {
    const count = Math.min(step, rows - first);
    withRegion(turned, 0, m * count, (left) => {
      withRegion(x, first * m, count * m, (part) => transposed(part, m, left));
      withRegion(y, first * n, count * n, (right) =>
        sum.next(0, m * n, (out) => matrixProduct(left, right, count, n, out)),
      );
    });
  }
  sum.free();
  free(turned);
  return result;
}

/** Columns so far apart that they don't crowd the same lines of the processor's cache: an odd number of lines of 64 bytes. */
export function uncrowded(length: number): number {
  return 16 * (2 * Math.ceil((length - 16) / 32) + 1);
}

/** Parts that are made one after the other, added up in a tensor. */
export function summing(total: TensorInfo) {
  const begun = new Set<number>();
  let part: TensorInfo | null = null;
  return {
    /** `make` writes the numbers from `first` on, always as many; the first time as they are, after that they are added. */
    next(first: number, length: number, make: (out: Region) => void): void {
      withRegion(total, first, length, (target) => {
        if (!begun.has(first)) {
          begun.add(first);
          return make(target);
        }
        part ??= allocate([length]);
        withRegion(part, 0, length, (more) => {
          make(more);
          add(target, more, target);
        });
      });
    },
    free(): void {
      if (part) free(part);
    },
  };
}
