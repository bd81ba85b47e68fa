import { bytesOf, type Memory } from '../memory.ts';
import type { PlannedCall } from './types.ts';
import { memoriesOf } from './memoriesOf.ts';

/** WebGPU's largest minStorageBufferOffsetAlignment, bytes. */
const ALIGNMENT = 256;

export interface Arena {
  readonly bytes: number;
  /** Byte at which each arena memory begins. */
  readonly offsets: ReadonlyMap<Memory, number>;
}

export interface Life {
  readonly memory: Memory;
  /** First and last call that speaks of it; −1 and the number of calls: before and after all of them. */
  readonly first: number;
  readonly last: number;
}

/** `before`: filled before the first call; `after`: read after the last. Kept memories have no life of their own. */
export function livesOf(
  calls: readonly PlannedCall[],
  before: readonly Memory[],
  after: readonly Memory[],
): readonly Life[] {
  const lives = new Map<Memory, { first: number; last: number }>();
  const touch = (memory: Memory, at: number): void => {
    if (memory.kind !== 'arena') return;
    const life = lives.get(memory);
    if (life) life.last = Math.max(life.last, at);
    else lives.set(memory, { first: at, last: at });
  };
  for (const memory of before) touch(memory, -1);
  calls.forEach(({ call, scratch }, i) => {
    for (const memory of memoriesOf(call)) touch(memory, i);
    if (scratch) touch(scratch, i);
  });
  for (const memory of after) touch(memory, calls.length);
  return [...lives].map(([memory, life]) => ({ memory, ...life }));
}

/**
 * A place for each memory such that those that live at the same time don't overlap. The largest first, or those of most bytes times calls,
 * each in the lowest gap where it fits: for networks within a few per cent of the least that any plan can have, the most that lives at once.
 */
export function placed(lives: readonly Life[]): Arena {
  const arenas = [
    ({ memory }: Life) => bytesOf(memory),
    ({ memory, first, last }: Life) => bytesOf(memory) * (last - first + 1),
  ].map((size) => placedInOrder([...lives].sort((a, b) => size(b) - size(a) || a.first - b.first)));
  return arenas.reduce((best, arena) => (arena.bytes < best.bytes ? arena : best));
}

function placedInOrder(order: readonly Life[]): Arena {
  const set: { first: number; last: number; begin: number; end: number }[] = [];
  const offsets = new Map<Memory, number>();
  let bytes = 0;
  for (const { memory, first, last } of order) {
    const size = Math.ceil(bytesOf(memory) / ALIGNMENT) * ALIGNMENT;
    let begin = 0;
    // `set` is sorted by `begin`.
    for (const other of set) {
      if (other.last < first || other.first > last) continue;
      if (begin + size <= other.begin) break;
      begin = Math.max(begin, other.end);
    }
    const end = begin + size;
    let at = set.length;
    while (at > 0 && set[at - 1]!.begin > begin) at--;
    set.splice(at, 0, { first, last, begin, end });
    offsets.set(memory, begin);
    bytes = Math.max(bytes, end);
  }
  return { bytes, offsets };
}

/** Bytes that live during each of the calls. */
export function aliveBytes(lives: readonly Life[], calls: number): number[] {
  const alive = new Array<number>(calls).fill(0);
  for (const { memory, first, last } of lives) {
    for (let i = Math.max(0, first); i <= Math.min(last, calls - 1); i++) alive[i]! += bytesOf(memory);
  }
  return alive;
}

/** The most bytes that live at once: what no placement can go below. */
export function leastBytes(lives: readonly Life[]): number {
  const change = new Map<number, number>();
  const add = (at: number, bytes: number): void => void change.set(at, (change.get(at) ?? 0) + bytes);
  for (const { memory, first, last } of lives) {
    add(first, bytesOf(memory));
    add(last + 1, -bytesOf(memory));
  }
  let bytes = 0;
  let most = 0;
  for (const at of [...change.keys()].sort((a, b) => a - b)) {
    bytes += change.get(at)!;
    most = Math.max(most, bytes);
  }
  return most;
}
