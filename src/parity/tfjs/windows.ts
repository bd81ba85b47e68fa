import type { Reading, Value } from './reading.ts';

type Pair = readonly [number, number];
/** [top, bottom, left, right] */
type Pads = readonly [number, number, number, number];

/** Height and width of an attribute of four numbers, one an axis; null where it isn't there. */
export function sizesOf({ attributes, fail }: Reading, name: string): Pair | null {
  const found = attributes.integers(name);
  if (found === null) return null;
  const [batch, height, width, channels] = found;
  const sizes = [height as number, width as number] as const;
  if (found.length !== 4 || batch !== 1 || channels !== 1 || sizes.some((size) => size < 1))
    return fail(`its ${name} are ${found.join(', ')}`);
  return sizes;
}

/** Channels are last: nothing else is known here. */
export function checkFormat({ attributes, fail }: Reading): void {
  const format = attributes.text('data_format') ?? 'NHWC';
  if (format !== 'NHWC') fail(`its data_format is ${format}`);
}

/** The border around a value, none where there is none; null where it is of numbers that don't do. */
export function borderOf({ border }: Value, does: (value: number) => boolean): Pads | null {
  if (border === undefined) return [0, 0, 0, 0];
  return does(border.value) ? border.pads : null;
}

/**
 * Strides, what is added around the input and how many places a window then has. SAME gives as many as fit with the stride, and adds the odd one
 * after: tensorflow/core/framework/common_shape_fns.cc, `GetWindowedOutputSizeVerbose`.
 */
export function windowOf(
  reading: Reading,
  input: Pair,
  border: Pads,
  kernel: Pair,
  dilations: Pair = [1, 1],
): { readonly strides: Pair; readonly pads: Pads; readonly size: Pair } {
  const strides = sizesOf(reading, 'strides') ?? reading.fail('it has no strides');
  const padding = reading.attributes.text('padding');
  const explicit = reading.attributes.integers('explicit_paddings') ?? [];
  const along = (axis: 0 | 1): { before: number; after: number; places: number } => {
    const [first, second] = [border[2 * axis] as number, border[2 * axis + 1] as number];
    const extent = input[axis] + first + second;
    const reach = (kernel[axis] - 1) * dilations[axis] + 1;
    let [before, after] = [0, 0];
    if (padding === 'SAME') {
      const places = Math.ceil(extent / strides[axis]);
      const added = Math.max((places - 1) * strides[axis] + reach - extent, 0);
      [before, after] = [Math.floor(added / 2), Math.ceil(added / 2)];
    } else if (padding === 'EXPLICIT') {
      if (explicit.length !== 8) reading.fail('its explicit_paddings aren’t eight numbers');
      [before, after] = [explicit[2 + 2 * axis] as number, explicit[3 + 2 * axis] as number];
    } else if (padding !== 'VALID') reading.fail(`its padding is ${padding}`);
    const places = Math.floor((extent + before + after - reach) / strides[axis]) + 1;
    if (places < 1) reading.fail('nothing is left of its input');
    return { before: before + first, after: after + second, places };
  };
  const [vertical, horizontal] = [along(0), along(1)];
  return {
    strides,
    pads: [vertical.before, vertical.after, horizontal.before, horizontal.after],
    size: [vertical.places, horizontal.places],
  };
}
