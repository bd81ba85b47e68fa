import type { Optimiser } from '../../reference/optimisers/types.ts';
import { CLIP_EPSILON } from '../../reference/update.ts';
import { STEP_WORDS } from '../calls.ts';
import type { Dispatch, Program } from '../kernels.ts';
import { CLIP_WORDS, NORM_SPAN, type GradientNorm, type OptimiserStep, type StatisticsCommit } from '../update.ts';
import { shader, type Storage } from './shader.ts';

const WORKGROUP = 64;
const LANES = 256;
const FIRST = 16;

const floats = (name: string, access: Storage['access']): Storage => ({ name, access, element: 'vec4<f32>' });
const words = (name: string, access: Storage['access']): Storage => ({ name, access, element: 'u32' });
const bad = `step[${STEP_WORDS.bad}] != 0u`;
const unscale = `bitcast<f32>(step[${STEP_WORDS.unscale}])`;

/** Adds up what the lanes have put into `sums`, in an order that doesn't vary, in two steps: lane 0 has it in `total`. */
const addUp = `
  workgroupBarrier();
  if (lane < ${FIRST}) {
    for (var i = lane + ${FIRST}; i < ${LANES}; i += ${FIRST}) { sums[lane] += sums[i]; }
  }
  workgroupBarrier();
  var total = 0.0;
  if (lane == 0) {
    for (var i = 0; i < ${FIRST}; i++) { total += sums[i]; }
  }`;

const squares = shader('gradientNormSquares', {
  storage: [floats('gradient', 'read'), { name: 'partials', access: 'read_write', element: 'f32' }],
  integers: ['begin', 'end', 'groups'],
  workgroup: LANES,
  declarations: `var<workgroup> sums : array<f32, ${LANES}>;`,
  body: `
  var sum = 0.0;
  let first = u.begin + group * ${NORM_SPAN / 4};
  for (var i = first + lane; i < min(first + ${NORM_SPAN / 4}, u.end); i += ${LANES}) {
    sum += dot(gradient[i], gradient[i]);
  }
  sums[lane] = sum;
  ${addUp}
  if (lane == 0 && group < u.groups) { partials[group] = total; }`,
});

// A compiler may take for granted that there is no NaN, but not that there are no such bits.
const clipOf = (scaled: boolean): Program =>
  shader(`gradientNormClip${scaled ? '-scaled' : ''}`, {
    storage: [
      { name: 'partials', access: 'read', element: 'f32' },
      { name: 'clip', access: 'read_write', element: 'f32' },
      words('step', 'read_write'),
    ],
    integers: ['groups', 'clips'],
    floats: ['maxNorm', 'epsilon'],
    workgroup: LANES,
    declarations: `var<workgroup> sums : array<f32, ${LANES}>;`,
    body: `
  var sum = 0.0;
  for (var i = lane; i < u.groups; i += ${LANES}) { sum += partials[i]; }
  sums[lane] = sum;
  ${addUp}
  if (lane == 0) {
    let norm = sqrt(total)${scaled ? ` * ${unscale}` : ''};
    clip[${CLIP_WORDS.norm}] = norm;
    clip[${CLIP_WORDS.factor}] = select(1.0, min(1.0, u.maxNorm / (norm + u.epsilon)), u.clips != 0)${scaled ? ` * ${unscale}` : ''};
    if ((bitcast<u32>(total) & 0x7f800000u) == 0x7f800000u) { step[${STEP_WORDS.bad}] = 1u; }
  }`,
  });

const clips = { plain: clipOf(false), scaled: clipOf(true) };

export function gradientNorm(call: GradientNorm): Dispatch[] {
  const { gradient, begin, end, maxNorm, scaled, partials, clip: into, step } = call;
  const groups = Math.ceil((end - begin) / NORM_SPAN);
  return [
    {
      program: squares,
      memories: [gradient, partials],
      integers: [begin / 4, end / 4, groups],
      workgroups: Math.max(1, groups),
    },
    {
      program: scaled ? clips.scaled : clips.plain,
      memories: [partials, into, step],
      integers: [groups, maxNorm === null ? 0 : 1],
      floats: [maxNorm ?? 0, CLIP_EPSILON],
      workgroups: 1,
    },
  ];
}

/**
 * The optimiser's own code (reference/optimisers), on four floats at a time; what it knows as `u` is read from the step.
 */
export function optimiserStep(call: OptimiserStep, { slots, wgsl }: Pick<Optimiser, 'slots' | 'wgsl'>): Dispatch[] {
  const { value, gradient, begin, end, step } = call;
  const clipped = call.clip !== null;
  const fours = (end - begin) / 4;
  const program = shader(`optimiserStep-${wgsl.name}${clipped ? '-clipped' : ''}`, {
    storage: [
      floats('gradient', 'read'),
      words('step', 'read'),
      ...(clipped ? [{ name: 'clip', access: 'read', element: 'f32' } as const] : []),
      ...[...slots, 'value'].map((name) => floats(name, 'read_write')),
    ],
    integers: ['begin', 'end'],
    workgroup: WORKGROUP,
    declarations: `
struct OfStep { ${wgsl.floats.map((name) => `${name} : f32`).join(', ')} }
fn update(index : i32, slope : vec4<f32>, u : OfStep) {
  ${wgsl.body}
}`,
    body: `
  let at = u.begin + index;
  if (at >= u.end || ${bad}) { return; }
  let ofStep = OfStep(${wgsl.floats.map((_, i) => `bitcast<f32>(step[${STEP_WORDS.optimiser + i}])`).join(', ')});
  update(at, gradient[at]${clipped ? ` * clip[${CLIP_WORDS.factor}]` : ''}, ofStep);`,
  });
  return [
    {
      program,
      memories: [gradient, step, ...(call.clip ? [call.clip] : []), ...call.slots, value],
      integers: [begin / 4, end / 4],
      workgroups: Math.max(1, Math.ceil(fours / WORKGROUP)),
    },
  ];
}

const commit = shader('commitStatistics', {
  // Bits: nothing is to become another NaN or zero on the way.
  storage: [words('step', 'read'), words('running', 'read_write'), words('pending', 'read_write')],
  integers: ['size'],
  workgroup: WORKGROUP,
  body: `
  if (index >= u.size) { return; }
  if (${bad}) { pending[index] = running[index]; } else { running[index] = pending[index]; }`,
});

export function commitStatistics({ running, pending, step }: StatisticsCommit): Dispatch[] {
  return [
    {
      program: commit,
      memories: [step, running, pending],
      integers: [running.floats],
      workgroups: Math.ceil(running.floats / WORKGROUP),
    },
  ];
}
