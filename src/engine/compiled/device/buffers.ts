import type { Memory } from '../memory.ts';
import type { Arena } from '../plan/arena.ts';
import type { Place } from './commands.ts';

/** The GPU buffers of one network: one for each kept memory, made when it is first asked for, and one arena for all of its plans. */
export interface Buffers {
  /** Where a kept memory lies. New ones are 0. */
  keptPlace(memory: Memory): Place;
  /** Where any memory lies while a plan with this arena runs. */
  placeIn(arena: Arena): (memory: Memory) => Place;
  /** Makes room for an arena; true where the buffer is a new one, and what was prepared for the old one is void. */
  reserve(bytes: number): boolean;
  /** A buffer that the processor can read, of at least so many bytes; one at a time. */
  reader(bytes: number): GPUBuffer;
  /** Bytes in all of them. */
  readonly bytes: number;
  /** GPU objects made so far. */
  readonly made: number;
  dispose(): void;
}

export function createBuffers(device: GPUDevice): Buffers {
  const keptBuffers = new Map<Memory, GPUBuffer>();
  let arenaBuffer: GPUBuffer | null = null;
  let readBuffer: GPUBuffer | null = null;
  let made = 0;
  const create = (label: string, size: number, usage: number): GPUBuffer => {
    made++;
    return device.createBuffer({ label, size, usage });
  };
  const storage = (): number => GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;

  const buffers: Buffers = {
    keptPlace(memory) {
      let buffer = keptBuffers.get(memory);
      if (!buffer) {
        const size = Math.max(16, Math.ceil(memory.floats / 4) * 16);
        keptBuffers.set(memory, (buffer = create(memory.name, size, storage())));
      }
      return { buffer, offset: 0, size: buffer.size };
    },
    placeIn: (arena) => (memory) => {
      if (memory.kind === 'kept') return buffers.keptPlace(memory);
      const offset = arena.offsets.get(memory);
      if (offset === undefined || arenaBuffer === null) throw new Error(`${memory.name} has no place in the arena.`);
      return { buffer: arenaBuffer, offset, size: memory.floats * 4 };
    },
    reserve(bytes) {
      if (arenaBuffer !== null && arenaBuffer.size >= bytes) return false;
      arenaBuffer?.destroy();
      arenaBuffer = create('arena', Math.max(256, bytes), storage());
      return true;
    },
    reader(bytes) {
      if (readBuffer === null || readBuffer.size < bytes) {
        readBuffer?.destroy();
        readBuffer = create('reader', Math.max(256, bytes), GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
      }
      return readBuffer;
    },
    get bytes() {
      return [...keptBuffers.values(), arenaBuffer, readBuffer].reduce((sum, buffer) => sum + (buffer?.size ?? 0), 0);
    },
    get made() {
      return made;
    },
    dispose() {
      for (const buffer of [...keptBuffers.values(), arenaBuffer, readBuffer]) buffer?.destroy();
      keptBuffers.clear();
      arenaBuffer = readBuffer = null;
    },
  };
  return buffers;
}
