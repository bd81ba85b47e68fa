import type { TensorInfo } from '@tensorflow/tfjs';
import { GREY } from '../../augmentation.ts';
import { AUGMENT, MOST_STEPS, STEP_KIND, WORD, WORDS, type AugmentAttributes } from '../augmentedInput.ts';
import { allocate, dispatch, free, shader, webgpuKernel } from './dispatch.ts';

/** The steps of `engine/augmentation.ts`, in four dispatches a batch. */

/** Threads that add up one image's grey. */
const ADDERS = 256;

const float = (word: string): string => `bitcast<f32>(parameters[${word}])`;
const whole = (entry: number): string => `bitcast<i32>(parameters[words + ${WORD.matrix + entry}])`;

/**
 * Crop and antialiased resize, one thread a pixel. The filter's weights are whole numbers, so that nothing is rounded before the sum.
 * Both directions at once: a pixel of the crop is read about four times.
 */
const reduce = shader('augmentReduce', {
  reads: ['parameters', 'pixels'],
  bits: ['parameters', 'pixels'],
  writes: ['reduced'],
  integers: ['count', 'size', 'first'],
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
  if (index >= u.count) { return; }
  let words = (u.first + index / (u.size * u.size)) * ${WORDS};
  let begin = i32(parameters[words + ${WORD.begin}]) * 4;
  let width = i32(parameters[words + ${WORD.width}]);
  let across = taps(width, index % u.size, u.size);
  let down = taps(i32(parameters[words + ${WORD.height}]), (index / u.size) % u.size, u.size);
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
  let rgb = sum / weights;
  let at = (u.first * u.size * u.size + index) * 3;
  reduced[at] = rgb.x;
  reduced[at + 1] = rgb.y;
  reduced[at + 2] = rgb.z;`,
});

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

/** Flip, affine, and the colour steps before contrast, which asks for the mean of what they made. One thread a pixel. */
const turn = shader('augmentTurn', {
  reads: ['parameters', 'reduced'],
  bits: ['parameters'],
  writes: ['turned'],
  integers: ['count', 'size'],
  declarations: colour,
  body: `
  if (index >= u.count) { return; }
  let image = index / (u.size * u.size);
  let words = image * ${WORDS};
  let x = index % u.size;
  let y = (index / u.size) % u.size;
  let column = (${whole(0)} * x + ${whole(1)} * y + ${whole(2)}) >> 16u;
  let row = (${whole(3)} * x + ${whole(4)} * y + ${whole(5)}) >> 16u;
  var rgb = vec3<f32>(0.0);
  if (column >= 0 && row >= 0 && column < u.size && row < u.size) {
    let mirrored = parameters[words + ${WORD.flip}] == 1u;
    let at = ((image * u.size + row) * u.size + select(column, u.size - 1 - column, mirrored)) * 3;
    rgb = vec3<f32>(reduced[at], reduced[at + 1], reduced[at + 2]);
  }
  for (var step = 0; step < ${MOST_STEPS}; step++) {
    let kind = ${kindOf};
    if (kind == ${STEP_KIND.contrast}u) { break; }
    if (kind != 0u) { rgb = blend(kind, ${factorOf}, rgb, 0.0); }
  }
  turned[index * 3] = rgb.x;
  turned[index * 3 + 1] = rgb.y;
  turned[index * 3 + 2] = rgb.z;`,
});

/** The mean grey of each image: one workgroup an image, always added in the same order. */
const meanGrey = shader('augmentMeanGrey', {
  reads: ['turned'],
  writes: ['means'],
  integers: ['pixels', 'images'],
  workgroup: ADDERS,
  declarations: `${colour}
var<workgroup> sums : array<f32, ${ADDERS}>;`,
  body: `
  let image = min(group, u.images - 1);
  var sum = 0.0;
  for (var i = lane; i < u.pixels; i += ${ADDERS}) {
    let at = (image * u.pixels + i) * 3;
    sum += grey(vec3<f32>(turned[at], turned[at + 1], turned[at + 2]));
  }
  sums[lane] = sum;
  for (var half = ${ADDERS / 2}; half > 0; half /= 2) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane == 0 && group < u.images) { means[group] = sums[0] / f32(u.pixels); }`,
});

/** Contrast and the colour steps after it, then mean and deviation; in place. One thread a pixel. */
const finish = shader('augmentFinish', {
  reads: ['parameters', 'means'],
  bits: ['parameters'],
  writes: ['turned'],
  integers: ['count', 'size'],
  floats: ['red', 'green', 'blue', 'ofRed', 'ofGreen', 'ofBlue'],
  declarations: colour,
  body: `
  if (index >= u.count) { return; }
  let image = index / (u.size * u.size);
  let words = image * ${WORDS};
  var rgb = vec3<f32>(turned[index * 3], turned[index * 3 + 1], turned[index * 3 + 2]);
  var begun = false;
  for (var step = 0; step < ${MOST_STEPS}; step++) {
    let kind = ${kindOf};
    begun = begun || kind == ${STEP_KIND.contrast}u;
    if (begun && kind != 0u) { rgb = blend(kind, ${factorOf}, rgb, means[image]); }
  }
  rgb = (rgb / 255.0 - vec3<f32>(u.red, u.green, u.blue)) / vec3<f32>(u.ofRed, u.ofGreen, u.ofBlue);
  turned[index * 3] = rgb.x;
  turned[index * 3 + 1] = rgb.y;
  turned[index * 3 + 2] = rgb.z;`,
});

export const augment = webgpuKernel(
  AUGMENT,
  ({ parameters, ...pixels }: Record<string, TensorInfo>, { n, size, bounds, mean, std }: AugmentAttributes) => {
    const shape = [n, size, size, 3];
    const count = n * size * size;
    const reduced = allocate(shape);
    for (let part = 0; part + 1 < bounds.length; part++) {
      const first = bounds[part]!;
      const here = (bounds[part + 1]! - first) * size * size;
      const tensors = [parameters!, pixels[`pixels${part}`]!, reduced];
      dispatch(reduce, tensors, { integers: [here, size, first] }, Math.ceil(here / 64));
    }
    const turned = allocate(shape);
    dispatch(turn, [parameters!, reduced, turned], { integers: [count, size] }, Math.ceil(count / 64));
    free(reduced);
    const means = allocate([n]);
    dispatch(meanGrey, [turned, means], { integers: [size * size, n] }, n);
    const uniforms = { integers: [count, size], floats: [...mean, ...std] };
    dispatch(finish, [parameters!, means, turned], uniforms, Math.ceil(count / 64));
    free(means);
    return turned;
  },
);
