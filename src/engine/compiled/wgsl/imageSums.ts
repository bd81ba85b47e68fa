import type { GlobalAvgPool, ScaleGradient } from '../calls.ts';
import type { Dispatch, Kernel } from '../kernels.ts';
import { bytesEach, type Source, type View } from '../memory.ts';
import { columnSource } from './columns.ts';
import { compose, viewPiece } from './pieces.ts';
import { addition, SUM_GROUP, sumCode, sumWidth, walk } from './workgroupSum.ts';

/** Sums over the pixels of an image: a workgroup an image and a few channels. */
function imageSums(
  name: string,
  { images, pixels, out }: { readonly images: number; readonly pixels: number; readonly out: View },
  source: Source,
  gradient: View | null,
  factor: number,
): Dispatch {
  const fours = out.channels / 4;
  const width = sumWidth(pixels, fours, 8);
  const groupsOfImage = Math.ceil(fours / width);
  const reader = columnSource('source', source, pixels);
  const slope = gradient && viewPiece('gradient', gradient);
  const result = viewPiece('out', out);
  return compose(`${name}-source${reader.key}`, {
    pieces: [reader, ...(slope ? [slope] : []), result],
    integers: { images, pixels, fours, width, groupsOfImage },
    floats: { outFactor: factor },
    workgroup: SUM_GROUP,
    declarations: `${reader.code}${sumCode({ sum: 'vec4<f32>' }, addition('sum'))}
fn partAt(column : sourceColumn, image : i32, pixel : i32, c4 : i32) -> Part {
  let row = image * u.pixels + min(pixel, u.pixels - 1);
  let value = source_columnAt(column, row, c4)${slope ? ` * ${slope.at()}` : ''};
  return Part(select(vec4<f32>(0.0), value, pixel < u.pixels));
}`,
    body: `
  let image = group / u.groupsOfImage;
  let c4 = (group % u.groupsOfImage) * u.width + lane % u.width;
  let inside = image < u.images && c4 < u.fours;
  var part = Part(vec4<f32>(0.0));
  if (inside) {
    let column = source_column(c4);${walk((pixel) => `partAt(column, image, ${pixel}, c4)`, 'lane / u.width', `${SUM_GROUP} / u.width`, 'u.pixels')}
  }
  part = reduced(part, lane, u.width);
  if (lane < u.width && inside) { ${result.set('part.sum * u.outFactor', 'image')} }`,
    workgroups: images * groupsOfImage,
  });
}

export const globalAvgPool: Kernel<GlobalAvgPool> = {
  cost: ({ images, pixels, source, out }) => {
    const size = images * pixels * out.channels;
    return { flops: 2 * size, bytes: size * bytesEach(source.view) + images * out.channels * bytesEach(out) };
  },
  dispatches: (call) => [imageSums('globalAvgPool', call, call.source, null, 1 / call.pixels)],
};

export const scaleGradient: Kernel<ScaleGradient> = {
  cost: ({ images, pixels, gradient, source, out }) => {
    const size = images * pixels * out.channels;
    const read = bytesEach(gradient) + bytesEach(source.view);
    return { flops: 4 * size, bytes: size * read + images * out.channels * bytesEach(out) };
  },
  dispatches: (call) => [imageSums('scaleGradient', call, { ...call.source, factor: null }, call.gradient, 1)],
};
