import { GpuMemoryError } from '../../errors.ts';
import { bytesOf, type Memory } from '../memory.ts';
import type { Arena } from '../plan/arena.ts';
import type { Place } from './commands.ts';

/**
 * The GPU buffers of one network: one for each kept memory, made when it is first asked for, and one arena for all of its plans. A refused
 * buffer is an invalid one, and an error that nobody catches wherever it is used: the large ones are waited for.
 */
export interface Buffers {
  /**
   * Makes these kept memories, and waits until the device has granted them.
   * @throws GpuMemoryError
   */
  keep(memories: readonly Memory[]): Promise<void>;
  /** Where a kept memory lies. New ones are 0. */
  keptPlace(memory: Memory): Place;
  /** Gives a kept memory back, once what was submitted is done with it; what is bound to it is void. */
  giveBack(memory: Memory): void;
  /**
   * Where any memory lies while a plan with this arena runs.
   * @throws GpuMemoryError where it is more than the device binds at once.
   */
  placeIn(arena: Arena): (memory: Memory) => Place;
  /** Whether an arena of so many bytes fits into the buffer that is there. */
  hasRoom(bytes: number): boolean;
  /**
   * Makes room for an arena. What was prepared for the old one is void, also where this throws.
   * @throws GpuMemoryError
   */
  reserve(bytes: number): Promise<void>;
  /**
   * Room for at least so many bytes that nobody is reading from; to be read from before another one is asked for.
   * @throws GpuMemoryError
   */
  reader(bytes: number): Promise<Reader>;
  /** Bytes in all of them. */
  readonly bytes: number;
  dispose(): void;
}

/** A buffer that the processor can read. */
export interface Reader {
  readonly buffer: GPUBuffer;
  /** A copy of bytes 0 … `bytes` − 1, once the device is done with all that was submitted before. */
  read(bytes: number): Promise<ArrayBuffer>;
}

export function createBuffers(device: GPUDevice): Buffers {
  const keptBuffers = new Map<Memory, GPUBuffer>();
  let arenaBuffer: GPUBuffer | null = null;
  /** As many as are read from at the same time. */
  const readers: (Reader & { isRead: boolean })[] = [];
  const create = (label: string, size: number, usage: number): GPUBuffer => device.createBuffer({ label, size, usage });
  const granted = async (label: string, size: number, usage: number): Promise<GPUBuffer> => {
    device.pushErrorScope('out-of-memory');
    device.pushErrorScope('validation');
    const buffer = create(label, size, usage);
    // Both at once: scopes are a stack, and who comes next must find it as it was. A lost device, which may reject, is told by others.
    const pops = [device.popErrorScope(), device.popErrorScope()].map((pop) => pop.catch(() => null));
    const error = (await Promise.all(pops)).find((one) => one !== null);
    if (!error) return buffer;
    buffer.destroy();
    throw new GpuMemoryError(size, error);
  };
  const sizeOf = (memory: Memory): number => Math.max(16, Math.ceil(bytesOf(memory) / 16) * 16);
  const storage = (): number => GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;

  const all = (): GPUBuffer[] => [
    ...keptBuffers.values(),
    ...(arenaBuffer ? [arenaBuffer] : []),
    ...readers.map(({ buffer }) => buffer),
  ];

  const buffers: Buffers = {
    async keep(memories) {
      for (const memory of memories) {
        if (keptBuffers.has(memory)) continue;
        keptBuffers.set(memory, await granted(memory.name, sizeOf(memory), storage()));
      }
    },
    keptPlace(memory) {
      let buffer = keptBuffers.get(memory);
      if (!buffer) {
        keptBuffers.set(memory, (buffer = create(memory.name, sizeOf(memory), storage())));
      }
      return { buffer, offset: 0, size: buffer.size };
    },
    giveBack(memory) {
      keptBuffers.get(memory)?.destroy();
      keptBuffers.delete(memory);
    },
    placeIn: (arena) => (memory) => {
      if (memory.kind === 'kept') return buffers.keptPlace(memory);
      const offset = arena.offsets.get(memory);
      if (offset === undefined || arenaBuffer === null) throw new Error(`${memory.name} has no place in the arena.`);
      const size = bytesOf(memory);
      if (size > device.limits.maxStorageBufferBindingSize) throw new GpuMemoryError(size);
      return { buffer: arenaBuffer, offset, size };
    },
    hasRoom: (bytes) => arenaBuffer !== null && arenaBuffer.size >= bytes,
    async reserve(bytes) {
      arenaBuffer?.destroy();
      arenaBuffer = null;
      arenaBuffer = await granted('arena', Math.max(256, bytes), storage());
    },
    async reader(bytes) {
      const free = readers.filter(({ isRead }) => !isRead).sort((a, b) => a.buffer.size - b.buffer.size);
      const enough = free.find(({ buffer: { size } }) => size >= bytes);
      if (enough) return enough;
      const tooSmall = free.at(-1);
      if (tooSmall) {
        tooSmall.buffer.destroy();
        readers.splice(readers.indexOf(tooSmall), 1);
      }
      const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
      const buffer = await granted('reader', Math.max(256, bytes), usage);
      const reader = {
        buffer,
        isRead: false,
        async read(length: number) {
          reader.isRead = true;
          try {
            await buffer.mapAsync(GPUMapMode.READ, 0, length);
            const copy = buffer.getMappedRange(0, length).slice(0);
            buffer.unmap();
            return copy;
          } finally {
            reader.isRead = false;
          }
        },
      };
      readers.push(reader);
      return reader;
    },
    get bytes() {
      return all().reduce((sum, { size }) => sum + size, 0);
    },
    dispose() {
      for (const buffer of all()) buffer.destroy();
      keptBuffers.clear();
      readers.length = 0;
      arenaBuffer = null;
    },
  };
  return buffers;
}
