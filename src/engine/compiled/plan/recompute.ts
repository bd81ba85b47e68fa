import type { Call, CallOf } from '../calls.ts';
import type { Matrix, Memory } from '../memory.ts';
import { memoriesOf } from './memoriesOf.ts';
import type { PlannedCall } from './types.ts';

/**
 * Outputs of 1×1 convolutions are not kept for the backward pass but made again when it comes to them: a DenseNet's bottlenecks are most
 * of its memory and a quarter of its forward pass. The numbers are the same to the bit. What such a convolution reads must be kept.
 */
export function recomputed(calls: readonly PlannedCall[], backwardFrom: number): PlannedCall[] {
  const chosen = choose(calls, backwardFrom);
  const result = calls.slice(0, backwardFrom);
  const again = new Map<Memory, Matrix>();
  for (const { call, scratch } of calls.slice(backwardFrom)) {
    for (const memory of memoriesOf(call)) {
      const conv = chosen.get(memory);
      if (!conv || again.has(memory)) continue;
      const { call: original, scratch: its } = conv;
      const copy: Matrix = { ...original.out.matrix, name: `${original.node} again` };
      again.set(memory, copy);
      const scratchAgain = its && { ...its };
      result.push({
        call: { ...original, out: { ...original.out, matrix: copy }, statistics: null },
        scratch: scratchAgain,
      });
    }
    result.push({ call: replaced(call, again), scratch });
  }
  return result;
}

type PlannedConv = PlannedCall & { readonly call: CallOf<'conv'> };

function choose(calls: readonly PlannedCall[], backwardFrom: number): Map<Memory, PlannedConv> {
  const readLater = new Set(calls.slice(backwardFrom).flatMap(({ call }) => [...memoriesOf(call)]));
  const chosen = new Map<Memory, PlannedConv>();
  for (const planned of calls.slice(0, backwardFrom)) {
    if (!isPointwise(planned)) continue;
    const { source, out } = planned.call;
    // A chain of them would have to be made again from its beginning.
    const fromKept = !chosen.has(source.view.matrix) && readLater.has(source.view.matrix);
    const alone = out.channels === out.matrix.channels && out.matrix.rows > planned.call.images;
    if (fromKept && alone && readLater.has(out.matrix)) chosen.set(out.matrix, planned);
  }
  return chosen;
}

function isPointwise(planned: PlannedCall): planned is PlannedConv {
  return planned.call.kind === 'conv' && planned.call.kernel === 1;
}

/** The call with other memories. */
function replaced(call: Call, by: ReadonlyMap<Memory, Matrix>): Call {
  const copy = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const other = by.get(value as Memory);
    if (other) return other;
    // A memory is itself, never a copy.
    if ('floats' in value && 'kind' in value) return value;
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, copy(part)]));
  };
  return Object.fromEntries(Object.entries(call).map(([name, part]) => [name, copy(part)])) as unknown as Call;
}
