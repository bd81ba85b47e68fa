import { GREY } from '../../augmentation.ts';
import { MOST_STEPS, STEP_KIND, WORD, WORDS } from '../../augmentationUpload.ts';

/**
 * The steps of `engine/augmentation.ts` in WGSL. `declarations` and `body` see `u.size`, the output's, arrays `parameters` and `pixels` of
 * u32 (`augmentationUpload.ts`) and functions by which a kernel says how it stores pixels, `NAME_at(i)` and `set_NAME(i, rgb)`; `reduced`
 * and `turned` are `[images, size, size]`.
 */
export interface AugmentationCode {
  readonly declarations: string;
  readonly body: string;
}

/** Threads that add up one image's grey. */
export const ADDERS = 256;

const float = (word: string): string => `bitcast<f32>(parameters[${word}])`;
const whole = (entry: number): string => `bitcast<i32>(parameters[words + ${WORD.matrix + entry}])`;

/**
 * Crop and antialiased resize, one thread a pixel: sees `image` and `at`, the pixel's place in the batch. The filter's weights are whole
 * numbers, so that nothing is rounded before the sum. Both directions at once: a pixel of the crop is read about four times.
 */
export const reduceCode: AugmentationCode = {
  declarations: `
struct Taps { low : i32, high : i32, centre : i32, reach : i32 }
fn taps(to : i32, i : i32, size : i32) -> Taps {
  let centre = (2 * i + 1) * to;
  let reach = 2 * max(to, size);
  return Taps(max(0, (centre - reach + size) / (2 * size)), min(to, (centre + reach + size) / (2 * size)), centre, reach);
}
fn weight(taps : Taps, t : i32, size : i32) -> f32 {
  return f32(max(0, taps.reach - abs((2 * t + 1) * size - taps.centre)));
}
fn channel(byte : i32) -> f32 {
  return f32((pixels[byte >> 2] >> (u32(byte & 3) * 8u)) & 255u);
}`,
  body: `
  let words = image * ${WORDS};
  let begin = i32(parameters[words + ${WORD.begin}]) * 4;
  let width = i32(parameters[words + ${WORD.width}]);
  let across = taps(width, at % u.size, u.size);
  let down = taps(i32(parameters[words + ${WORD.height}]), (at / u.size) % u.size, u.size);
  var sum = vec3<f32>(0.0);
  var weights = 0.0;
  for (var y = down.low; y < down.high; y++) {
    let ofRow = weight(down, y, u.size);
    for (var x = across.low; x < across.high; x++) {
      let share = ofRow * weight(across, x, u.size);
      let byte = begin + (y * width + x) * 3;
      sum += share * vec3<f32>(channel(byte), channel(byte + 1), channel(byte + 2));
      weights += share;
    }
  }
  set_reduced(at, sum / weights);`,
};

const colour = `
fn grey(rgb : vec3<f32>) -> f32 { return dot(rgb, vec3<f32>(${GREY.join(', ')})); }
fn blend(kind : u32, factor : f32, rgb : vec3<f32>, mean : f32) -> vec3<f32> {
  var other = 0.0;
  if (kind == ${STEP_KIND.contrast}u) { other = mean; }
  if (kind == ${STEP_KIND.saturation}u) { other = grey(rgb); }
  return clamp(vec3<f32>((1.0 - factor) * other) + factor * rgb, vec3<f32>(0.0), vec3<f32>(255.0));
}`;

const kindOf = `parameters[words + ${WORD.steps} + 2 * step]`;
const factorOf = float(`words + ${WORD.steps} + 2 * step + 1`);

/** Flip, affine, and the colour steps before contrast, which asks for the mean of what they made. One thread a pixel, `index`. */
export const turnCode: AugmentationCode = {
  declarations: colour,
  body: `
  let image = index / (u.size * u.size);
  let words = image * ${WORDS};
  let x = index % u.size;
  let y = (index / u.size) % u.size;
  let column = (${whole(0)} * x + ${whole(1)} * y + ${whole(2)}) >> 16u;
  let row = (${whole(3)} * x + ${whole(4)} * y + ${whole(5)}) >> 16u;
  var rgb = vec3<f32>(0.0);
  if (column >= 0 && row >= 0 && column < u.size && row < u.size) {
    let mirrored = parameters[words + ${WORD.flip}] == 1u;
    rgb = reduced_at((image * u.size + row) * u.size + select(column, u.size - 1 - column, mirrored));
  }
  for (var step = 0; step < ${MOST_STEPS}; step++) {
    let kind = ${kindOf};
    if (kind == ${STEP_KIND.contrast}u) { break; }
    if (kind != 0u) { rgb = blend(kind, ${factorOf}, rgb, 0.0); }
  }
  set_turned(index, rgb);`,
};

/** The mean grey of each of `u.images`: one workgroup an image, always added in the same order. Sees `u.pixels`, of an image. */
export const meanGreyCode: AugmentationCode = {
  declarations: `${colour}
var<workgroup> sums : array<f32, ${ADDERS}>;`,
  body: `
  let image = min(group, u.images - 1);
  var sum = 0.0;
  for (var i = lane; i < u.pixels; i += ${ADDERS}) {
    sum += grey(turned_at(image * u.pixels + i));
  }
  sums[lane] = sum;
  for (var half = ${ADDERS / 2}; half > 0; half /= 2) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane == 0 && group < u.images) { means[group] = sums[0] / f32(u.pixels); }`,
};

/** Contrast and the colour steps after it, then mean and deviation (`u.red` …, `u.ofRed` …); in place. One thread a pixel, `index`. */
export const finishCode: AugmentationCode = {
  declarations: colour,
  body: `
  let image = index / (u.size * u.size);
  let words = image * ${WORDS};
  var rgb = turned_at(index);
  var begun = false;
  for (var step = 0; step < ${MOST_STEPS}; step++) {
    let kind = ${kindOf};
    begun = begun || kind == ${STEP_KIND.contrast}u;
    if (begun && kind != 0u) { rgb = blend(kind, ${factorOf}, rgb, means[image]); }
  }
  rgb = (rgb / 255.0 - vec3<f32>(u.red, u.green, u.blue)) / vec3<f32>(u.ofRed, u.ofGreen, u.ofBlue);
  set_turned(index, rgb);`,
};

export const STATISTICS_FIELDS = ['red', 'green', 'blue', 'ofRed', 'ofGreen', 'ofBlue'] as const;
