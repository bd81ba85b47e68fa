import type { Geometry } from '../calls.ts';

/** Fields of `u` that `windowCode` and `coverCode` need. */
export function geometryIntegers({ height, width, outHeight, outWidth, kernel, stride, padding }: Geometry) {
  return { height, width, outHeight, outWidth, kernel, stride, padding };
}

export const inputRows = ({ images, height, width }: Geometry): number => images * height * width;
export const outputRows = ({ images, outHeight, outWidth }: Geometry): number => images * outHeight * outWidth;

/**
 * Of output `row`: `top`, `left` of its window (may be negative); what of it lies in the map, `y0 … y1 − 1`, `x0 … x1 − 1`; `base`, the
 * lines of pixels of the images before.
 */
export const windowCode = `
    let base = (row / (u.outHeight * u.outWidth)) * u.height;
    let top = ((row / u.outWidth) % u.outHeight) * u.stride - u.padding;
    let left = (row % u.outWidth) * u.stride - u.padding;
    let y0 = max(top, 0);
    let x0 = max(left, 0);
    let y1 = min(top + u.kernel, u.height);
    let x1 = min(left + u.kernel, u.width);`;

/**
 * Of input `row`: its place `y`, `x` in the padded map; the outputs that read it, `oy0 … oy1`, `ox0 … ox1`; `base`, the lines of outputs
 * of the images before.
 */
export const coverCode = `
    let base = (row / (u.height * u.width)) * u.outHeight;
    let y = (row / u.width) % u.height + u.padding;
    let x = row % u.width + u.padding;
    let oy0 = max(y - u.kernel + u.stride, 0) / u.stride;
    let ox0 = max(x - u.kernel + u.stride, 0) / u.stride;
    let oy1 = min(y / u.stride, u.outHeight - 1);
    let ox1 = min(x / u.stride, u.outWidth - 1);`;
