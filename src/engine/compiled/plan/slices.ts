import type { Call, CallOf } from '../calls.ts';
import type { KernelTraits, TraitsTable } from '../kernels.ts';
import { bytesOf, matrix } from '../memory.ts';
import type { PlannedCall } from './types.ts';

/** Slices that wait together, at most: about what a large GPU's cache has room for. */
const MOST_BYTES = 32 * 2 ** 20;

/** Filter gradients that wait for their sum. */
interface Waiting {
  /** Where they stand in the result. */
  readonly members: { readonly at: number; readonly call: FilterGradient; readonly floats: number }[];
  bytes: number;
  /** The most that lived beside them during one of the calls since the first. */
  beside: number;
}

/**
 * The slices of filter gradients are added up by one call for several of them: a dispatch costs a GPU as much time as reading ten megabytes.
 * They wait for it in memory that is free by then: at no call does more live than `room`, bytes, or what lives there anyway.
 */
export function summedTogether(
  calls: readonly PlannedCall[],
  traits: TraitsTable,
  alive: readonly number[],
  room: number,
): PlannedCall[] {
  const result: PlannedCall[] = [];
  let waiting: Waiting = { members: [], bytes: 0, beside: 0 };

  const flush = (): void => {
    const { members } = waiting;
    waiting = { members: [], bytes: 0, beside: 0 };
    if (members.length === 0) return;
    const slices = matrix(
      `slices of ${members.length} filters`,
      1,
      members.reduce((sum, { floats }) => sum + floats, 0),
    );
    let first = 0;
    const filters = members.map(({ at, call, floats }) => {
      result[at] = { call: { ...call, slices: { memory: slices, first } }, scratch: null };
      const count = (traits[call.kind] as KernelTraits<Call>).slices!(call);
      const filter = { first, count, floats: floats / count, gradient: call.gradient };
      first += floats;
      return filter;
    });
    result.push({ call: { kind: 'sliceSums', node: members.at(-1)!.call.node, slices, filters }, scratch: null });
  };

  for (const [i, { call, scratch }] of calls.entries()) {
    const own = isFilterGradient(call) && scratch ? bytesOf(scratch) : 0;
    const beside = Math.max(waiting.beside, alive[i]! - own);
    const bytes = waiting.bytes + own;
    if (bytes > MOST_BYTES || beside + bytes > room) flush();
    if (own > 0) {
      waiting.members.push({ at: result.length, call: call as FilterGradient, floats: scratch!.floats });
      waiting.bytes += own;
    }
    // What lived before the first of them is nothing to them.
    waiting.beside = waiting.members.length > 0 ? Math.max(waiting.beside, alive[i]! - own) : 0;
    result.push({ call, scratch });
  }
  flush();
  return result;
}

type FilterGradient = CallOf<'convFilterGradient'> | CallOf<'depthwiseFilterGradient'>;

function isFilterGradient(call: Call): call is FilterGradient {
  return call.kind === 'convFilterGradient' || call.kind === 'depthwiseFilterGradient';
}
