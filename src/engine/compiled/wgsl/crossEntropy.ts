import { STEP_WORDS, type CrossEntropy } from '../calls.ts';
import type { Kernel } from '../kernels.ts';
import { compose, viewPiece, type Piece } from './pieces.ts';
import type { Storage } from './shader.ts';
import type { Memory } from '../memory.ts';

const LANES = 64;

/** A workgroup a row: lanes share its classes, then every lane adds up what all have, in the same order. */
export const crossEntropy: Kernel<CrossEntropy> = {
  cost: ({ rows, classes, gradient }) => ({
    flops: 12 * rows * classes,
    bytes: 4 * rows * (classes + gradient.channels + 2),
  }),
  dispatches: ({ logits, rows, classes, labels, classWeights, smoothing, step, losses, gradient }) => {
    const x = viewPiece('logits', logits);
    const slope = viewPiece('gradient', gradient);
    return [
      compose(`crossEntropy${classWeights ? '-weighted' : ''}`, {
        pieces: [
          x,
          slope,
          words('labels', labels, 'i32'),
          words('step', step, 'u32'),
          words('losses', losses, 'f32'),
          ...(classWeights ? [words('classWeights', classWeights, 'f32')] : []),
        ],
        integers: { rows, classes, classFours: Math.ceil(classes / 4), gradientFours: gradient.channels / 4 },
        floats: { onLabel: 1 - smoothing, onAll: smoothing / classes },
        workgroup: LANES,
        declarations: `
struct Sums { total : f32, mass : f32, weighted : f32 }
var<workgroup> highs : array<f32, ${LANES}>;
var<workgroup> sums : array<Sums, ${LANES}>;
fn classesOf(c4 : i32) -> vec4<i32> { return vec4<i32>(4 * c4) + vec4<i32>(0, 1, 2, 3); }
fn isFinite(x : vec4<f32>) -> vec4<bool> { return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u); }
// What stands before −log p of each class: target · weight.
fn weightsOf(c4 : i32, label : i32) -> vec4<f32> {
  let c = classesOf(c4);
  let goal = vec4<f32>(u.onAll) + select(vec4<f32>(0.0), vec4<f32>(u.onLabel), c == vec4<i32>(label));
  return select(vec4<f32>(0.0), goal${
    classWeights
      ? ` * vec4<f32>(${['x', 'y', 'z', 'w'].map((i) => `classWeights[min(c.${i}, u.classes - 1)]`).join(', ')})`
      : ''
  }, c < vec4<i32>(u.classes));
}`,
        body: `
  let row = group;
  if (row >= u.rows) { return; }
  let label = labels[row];
  var high = -3.4028234e38;
  for (var c4 = lane; c4 < u.classFours; c4 += ${LANES}) {
    let x = ${x.at()};
    let inside = classesOf(c4) < vec4<i32>(u.classes);
    let known = select(vec4<f32>(high), x, inside);
    high = max(high, max(max(known.x, known.y), max(known.z, known.w)));
    if (any(inside & !isFinite(x))) { step[${STEP_WORDS.bad}] = 1u; }
  }
  highs[lane] = high;
  workgroupBarrier();
  for (var other = 0; other < ${LANES}; other++) { high = max(high, highs[other]); }

  var own = Sums(0.0, 0.0, 0.0);
  for (var c4 = lane; c4 < u.classFours; c4 += ${LANES}) {
    let below = ${x.at()} - high;
    let inside = classesOf(c4) < vec4<i32>(u.classes);
    let weights = weightsOf(c4, label);
    own.total += dot(select(vec4<f32>(0.0), exp(below), inside), vec4<f32>(1.0));
    own.mass += dot(weights, vec4<f32>(1.0));
    own.weighted -= dot(weights, select(vec4<f32>(0.0), below, inside));
  }
  sums[lane] = own;
  workgroupBarrier();
  var all = Sums(0.0, 0.0, 0.0);
  for (var other = 0; other < ${LANES}; other++) {
    let part = sums[other];
    all = Sums(all.total + part.total, all.mass + part.mass, all.weighted + part.weighted);
  }
  if (lane == 0) {
    let loss = all.weighted + log(all.total) * all.mass;
    losses[row] = loss;
    // Finite logits can be so far apart that their difference is not.
    if (!isFinite(vec4<f32>(loss)).x) { step[${STEP_WORDS.bad}] = 1u; }
  }
  let scale = bitcast<f32>(step[${STEP_WORDS.scale}]);
  for (var c4 = lane; c4 < u.gradientFours; c4 += ${LANES}) {
    var value = vec4<f32>(0.0);
    if (c4 < u.classFours) {
      let probability = exp(${x.at()} - high) / all.total;
      let inside = classesOf(c4) < vec4<i32>(u.classes);
      value = select(vec4<f32>(0.0), scale * (probability * all.mass - weightsOf(c4, label)), inside);
    }
    ${slope.set('value')}
  }`,
        workgroups: rows,
      }),
    ];
  },
};

function words(name: string, memory: Memory, element: Storage['element']): Piece {
  return { storage: [{ name, access: 'read_write', element }], memories: [memory], integers: [], values: [] };
}
