import type { ParameterSpec, Weights } from '../../graph/types.ts';
import type { Buffers } from './device/buffers.ts';
import type { Memory } from './memory.ts';
import { toFlat, torchData, toTorch, type FlatLayout, type FlatParameter } from './plan/parameters.ts';

/** Flat memories to and from torch's layouts. */
export interface FlatStore {
  /** Parameters and running statistics. */
  read(): Promise<Weights>;
  /** @throws Error that names the first one which is missing or has another shape; then nothing was written. */
  write(weights: Weights): void;
  /** What lies as the trained parameters do, one memory a slot: `${parameter}.${slot}`. */
  readSlots(slots: ReadonlyMap<string, Memory>): Promise<Weights>;
  writeSlots(slots: ReadonlyMap<string, Memory>, state: Weights): void;
}

export function createFlatStore(device: GPUDevice, buffers: Buffers, layout: FlatLayout): FlatStore {
  const memoryOf = ({ kind }: FlatParameter): Memory => layout[kind];
  const trained = layout.all.filter(({ kind }) => kind === 'trained');

  const download = async (memories: readonly Memory[]): Promise<Map<Memory, Float32Array>> => {
    const places = memories.map((memory) => buffers.keptPlace(memory));
    const total = places.reduce((sum, { size }) => sum + size, 0);
    const reader = await buffers.reader(total);
    const encoder = device.createCommandEncoder();
    let offset = 0;
    for (const { buffer, size } of places) {
      encoder.copyBufferToBuffer(buffer, 0, reader.buffer, offset, size);
      offset += size;
    }
    device.queue.submit([encoder.finish()]);
    const copy = await reader.read(total);
    const result = new Map<Memory, Float32Array>();
    offset = 0;
    places.forEach(({ size }, i) => {
      result.set(memories[i]!, new Float32Array(copy, offset, size / 4));
      offset += size;
    });
    return result;
  };
  const upload = (memory: Memory, flat: Float32Array<ArrayBuffer>): void => {
    device.queue.writeBuffer(buffers.keptPlace(memory).buffer, 0, flat);
  };
  const tensorOf = (spec: ParameterSpec, data: Float32Array) => ({ shape: spec.shape, data });

  return {
    async read() {
      const flats = await download([layout.trained, layout.frozen, layout.running]);
      return new Map(layout.all.map((p) => [p.spec.name, tensorOf(p.spec, toTorch(flats.get(memoryOf(p))!, p))]));
    },
    write(weights) {
      const data = layout.all.map((p) => [p, torchData(weights, p.spec.name, p.spec)] as const);
      const flats = new Map(
        [layout.trained, layout.frozen, layout.running].map((memory) => [memory, new Float32Array(memory.floats)]),
      );
      for (const [p, values] of data) toFlat(flats.get(memoryOf(p))!, p, values);
      for (const [memory, flat] of flats) upload(memory, flat);
      upload(layout.pending, flats.get(layout.running)!);
    },
    async readSlots(slots) {
      if (slots.size === 0) return new Map();
      const flats = await download([...slots.values()]);
      return new Map(
        trained.flatMap((p) =>
          [...slots].map(
            ([slot, memory]) => [`${p.spec.name}.${slot}`, tensorOf(p.spec, toTorch(flats.get(memory)!, p))] as const,
          ),
        ),
      );
    },
    writeSlots(slots, state) {
      const flats = [...slots].map(([slot, memory]) => {
        const flat = new Float32Array(memory.floats);
        for (const p of trained) toFlat(flat, p, torchData(state, `${p.spec.name}.${slot}`, p.spec));
        return [memory, flat] as const;
      });
      for (const [memory, flat] of flats) upload(memory, flat);
    },
  };
}
