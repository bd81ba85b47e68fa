import type { SliceSums } from '../calls.ts';
import type { Dispatch, Kernel } from '../kernels.ts';
import type { Memory } from '../memory.ts';
import { powerOfTwoUpTo } from './loops.ts';
import { arena, shader } from './shader.ts';
import { addition, SUM_GROUP, sumCode, walk } from './workgroupSum.ts';

/** Of one dispatch: as many as its uniforms have places for. */
const MOST_FILTERS = 16;
/** Threads of a workgroup that don't work together. */
const ALONE = 64;
/** No workgroup has this number. */
const NEVER = 0x7fffffff;

/** What a dispatch is told of a filter: its first workgroup, the fours that a workgroup takes, places and sizes in fours. */
const FIELDS = ['begin', 'width', 'first', 'fours', 'count', 'into'] as const;

/**
 * Filters have from two to hundreds of slices, and from dozens to hundreds of thousands of fours: on a GPU lanes of a workgroup share
 * the slices of some adjacent fours. `software`: a thread adds up alone, without a barrier.
 */
export function sliceSumsKernel({ software }: { readonly software: boolean }): Kernel<SliceSums> {
  return {
    cost: ({ filters }) => {
      const gradients = filters.reduce((sum, { floats }) => sum + floats, 0);
      const read = filters.reduce((sum, { floats, count }) => sum + count * floats, 0);
      return { flops: read, bytes: 4 * (read + 2 * gradients) };
    },
    dispatches({ slices, filters }) {
      const dispatches: Dispatch[] = [];
      for (let at = 0; at < filters.length; at += MOST_FILTERS) {
        dispatches.push(sliceSums(slices, filters.slice(at, at + MOST_FILTERS), software));
      }
      return dispatches;
    },
  };
}

/** At most `MOST_FILTERS` filters. */
export function sliceSums(slices: Memory, filters: SliceSums['filters'], software: boolean): Dispatch {
  const [gradients, ...others] = new Set(filters.map(({ gradient }) => gradient.memory));
  if (!gradients || others.length > 0) throw new Error('Slices are added up into one memory.');
  let workgroups = 0;
  const places = filters.map(({ first, floats, count, gradient }) => {
    const fours = floats / 4;
    const width = software ? ALONE : widthOf(fours, count);
    const begin = workgroups;
    workgroups += Math.ceil(fours / width);
    return { begin, width, first: first / 4, fours, count, into: gradient.offset / 4 };
  });
  const none = { begin: NEVER, width: 1, first: 0, fours: 0, count: 0, into: 0 };
  return {
    program: software ? alone : together,
    memories: [slices, gradients],
    integers: Array.from({ length: MOST_FILTERS }, (_, i) => places[i] ?? none).flatMap((place) =>
      FIELDS.map((field) => place[field]),
    ),
    workgroups,
  };
}

/** A power of 2: so few that lanes have but four slices each, if they can be so many; four fours are a line of a cache. */
function widthOf(fours: number, count: number): number {
  return Math.min(SUM_GROUP, Math.max(4, powerOfTwoUpTo((4 * SUM_GROUP) / count)), powerOfTwoUpTo(2 * fours - 1));
}

const binding = {
  storage: [arena('slices'), arena('gradients')],
  integers: Array.from({ length: MOST_FILTERS }, (_, i) => FIELDS.map((field) => `${field}${i}`)).flat(),
};

/** Variables named as the fields are: of the filter that this workgroup is for. */
const ofFilter = `${FIELDS.map((field) => `var ${field} = u.${field}0;`).join(' ')}
  ${Array.from({ length: MOST_FILTERS - 1 }, (_, i) => i + 1)
    .map((i) => `if (group >= u.begin${i}) { ${FIELDS.map((field) => `${field} = u.${field}${i};`).join(' ')} }`)
    .join('\n  ')}`;

const alone = shader('sliceSums-alone', {
  ...binding,
  workgroup: ALONE,
  body: `
  ${ofFilter}
  let four = (group - begin) * width + lane;
  if (four >= fours) { return; }
  var sum = vec4<f32>(0.0);
  for (var slice = 0; slice < count; slice++) { sum += slices[first + slice * fours + four]; }
  gradients[into + four] += sum;`,
});

const together = shader('sliceSums', {
  ...binding,
  workgroup: SUM_GROUP,
  declarations: `${sumCode({ sum: 'vec4<f32>' }, addition('sum'))}
fn partAt(slice : i32, count : i32, at : i32, fours : i32) -> Part {
  return Part(select(vec4<f32>(0.0), slices[at + min(slice, count - 1) * fours], slice < count));
}`,
  body: `
  ${ofFilter}
  let four = (group - begin) * width + lane % width;
  let writes = lane < width && four < fours;
  var part = Part(vec4<f32>(0.0));
  // Loaded before the sum is there, which takes as long.
  var before = vec4<f32>(0.0);
  if (writes) { before = gradients[into + four]; }
  if (four < fours) {${walk((slice) => `partAt(${slice}, count, first + four, fours)`, 'lane / width', `${SUM_GROUP} / width`, 'count')}
  }
  part = reduced(part, lane, width);
  if (writes) { gradients[into + four] = before + part.sum; }`,
});
