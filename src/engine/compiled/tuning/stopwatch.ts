import { encodeDispatch, type Command } from '../device/commands.ts';
import { canProfile } from '../device/profile.ts';

/** Commands that are timed together, as often as it says. */
export interface Span {
  readonly commands: readonly Command[];
  readonly repeats: number;
  /** ms, roughly. */
  readonly expected: number;
}

/** Times what a device does. */
export interface Stopwatch {
  /** ms of each span, in order; they run one behind the other, in submits that hold the device no longer than about 80 ms each. */
  times(spans: readonly Span[]): Promise<number[]>;
  /** What its times are multiples of, as far as it has told any, ms. */
  readonly resolution: number;
  dispose(): void;
}

const LONGEST = 80;
/** Spans of one call of `times`. */
export const MOST_SPANS = 256;
/** What waiting for a submit adds, more or less, ms. */
const WAITING = 0.2;

export function createStopwatch(device: GPUDevice): Stopwatch {
  return canProfile(device) ? byTimestamps(device) : byTheClock(device);
}

function byTimestamps(device: GPUDevice): Stopwatch {
  const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const size = 16 * MOST_SPANS;
  const set = device.createQuerySet({ label: 'times', type: 'timestamp', count: 2 * MOST_SPANS });
  const resolved = device.createBuffer({ label: 'times', size, usage: QUERY_RESOLVE | COPY_SRC });
  const reader = device.createBuffer({ label: 'times', size, usage: COPY_DST | MAP_READ });
  /** ns; browsers round what they tell. */
  let common = 0n;
  return {
    async times(spans) {
      if (spans.length > MOST_SPANS) throw new Error(`${spans.length} spans are more than ${MOST_SPANS}.`);
      let encoder = device.createCommandEncoder();
      let filled = 0;
      spans.forEach(({ commands, repeats, expected }, i) => {
        if (filled > 0 && filled + expected > LONGEST) {
          device.queue.submit([encoder.finish()]);
          encoder = device.createCommandEncoder();
          filled = 0;
        }
        filled += expected;
        const pass = encoder.beginComputePass({
          timestampWrites: { querySet: set, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
        });
        repeat(pass, commands, repeats);
        pass.end();
      });
      encoder.resolveQuerySet(set, 0, 2 * spans.length, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, reader, 0, 16 * spans.length);
      device.queue.submit([encoder.finish()]);
      await reader.mapAsync(GPUMapMode.READ, 0, 16 * spans.length);
      const told = new BigUint64Array(reader.getMappedRange(0, 16 * spans.length).slice(0));
      reader.unmap();
      return spans.map((_, i) => {
        const [from, to] = [told[2 * i]!, told[2 * i + 1]!];
        common = divisor(divisor(common, from), to);
        // It may end before it began, where a counter was reset meanwhile.
        return to > from ? Number(to - from) / 1e6 : 0;
      });
    },
    get resolution() {
      return Math.min(WAITING, Number(common) / 1e6);
    },
    dispose() {
      set.destroy();
      resolved.destroy();
      reader.destroy();
    },
  };
}

function byTheClock(device: GPUDevice): Stopwatch {
  return {
    async times(spans) {
      const found: number[] = [];
      for (const { commands, repeats } of spans) {
        const begun = performance.now();
        const encoder = device.createCommandEncoder();
        const pass = encoder.beginComputePass();
        repeat(pass, commands, repeats);
        pass.end();
        device.queue.submit([encoder.finish()]);
        await device.queue.onSubmittedWorkDone();
        found.push(performance.now() - begun);
      }
      return found;
    },
    resolution: WAITING,
    dispose: () => undefined,
  };
}

function repeat(pass: GPUComputePassEncoder, commands: readonly Command[], times: number): void {
  for (let i = 0; i < times; i++) for (const command of commands) encodeDispatch(pass, command);
}

/** The greatest common one. */
function divisor(a: bigint, b: bigint): bigint {
  return b === 0n ? a : divisor(b, a % b);
}
