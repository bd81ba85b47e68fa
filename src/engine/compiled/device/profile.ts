import type { ProfileRow } from '../../types.ts';
import { encodeDispatch, type Command, type encode } from './commands.ts';

/** WebGPU's limit of a query set. */
const MOST_QUERIES = 4096;

/** Times what it records. For one step; makes GPU objects. */
export interface Profiler {
  /** In place of `encode`: a pass for each command, since only passes have times. */
  readonly record: typeof encode;
  /** Of all that was recorded, once all of it was submitted, in that order. Then it is used up. */
  rows(): Promise<ProfileRow[]>;
  dispose(): void;
}

export function canProfile({ features }: Pick<GPUDevice, 'features'>): boolean {
  return features.has('timestamp-query');
}

/** `setSize`: queries of one set, two for each dispatch. */
export function createProfiler(device: GPUDevice, setSize = MOST_QUERIES): Profiler {
  const recorded: Command[] = [];
  const sets: GPUQuerySet[] = [];
  const buffers: GPUBuffer[] = [];
  const inSet = setSize / 2;
  return {
    record(encoder, commands, begin, end) {
      for (let i = begin; i < end; i++) {
        const at = recorded.length % inSet;
        if (at === 0) sets.push(device.createQuerySet({ label: 'times', type: 'timestamp', count: setSize }));
        const pass = encoder.beginComputePass({
          timestampWrites: {
            querySet: sets.at(-1)!,
            beginningOfPassWriteIndex: 2 * at,
            endOfPassWriteIndex: 2 * at + 1,
          },
        });
        encodeDispatch(pass, commands[i]!);
        pass.end();
        recorded.push(commands[i]!);
      }
    },
    async rows() {
      const encoder = device.createCommandEncoder();
      const readers = sets.map((set, index) => {
        const count = 2 * Math.min(inSet, recorded.length - index * inSet);
        const size = 8 * count;
        const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
        const resolved = device.createBuffer({ label: 'times', size, usage: QUERY_RESOLVE | COPY_SRC });
        const reader = device.createBuffer({ label: 'times', size, usage: COPY_DST | MAP_READ });
        buffers.push(resolved, reader);
        encoder.resolveQuerySet(set, 0, count, resolved, 0);
        encoder.copyBufferToBuffer(resolved, 0, reader, 0, size);
        return reader;
      });
      device.queue.submit([encoder.finish()]);
      const rows: ProfileRow[] = [];
      for (const reader of readers) {
        await reader.mapAsync(GPUMapMode.READ);
        const times = new BigUint64Array(reader.getMappedRange());
        for (let i = 0; i < times.length; i += 2) {
          const { kind, node, program, cost } = recorded[rows.length]!;
          // A device may say that something ended before it began, when its counter was reset meanwhile.
          const nanoseconds = Math.max(0, Number(times[i + 1]! - times[i]!));
          rows.push({ kind, node, program, milliseconds: nanoseconds / 1e6, ...cost });
        }
        reader.unmap();
      }
      return rows;
    },
    dispose() {
      for (const one of [...sets, ...buffers]) one.destroy();
    },
  };
}
