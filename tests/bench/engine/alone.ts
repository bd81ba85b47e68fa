import { encode, prepare, type Place, type Work } from '../../../src/engine/compiled/device/commands.ts';
import type { Pipelines } from '../../../src/engine/compiled/device/pipelines.ts';
import type { Memory } from '../../../src/engine/compiled/memory.ts';

/** Works that run by themselves, each memory in a buffer of its own, full of numbers that mean nothing. */
export interface Alone {
  /** Hands them to the device, so many times. */
  submit(times?: number): void;
  dispose(): void;
}

export async function alone(device: GPUDevice, pipelines: Pipelines, works: readonly Work[]): Promise<Alone> {
  const places = new Map<Memory, Place>();
  const placeOf = (memory: Memory): Place => {
    let place = places.get(memory);
    if (!place) {
      const size = memory.floats * 4;
      const buffer = device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
      device.queue.writeBuffer(buffer, 0, noise(memory.floats));
      places.set(memory, (place = { buffer, offset: 0, size }));
    }
    return place;
  };
  const commands = await prepare(device, pipelines, works, placeOf);
  await device.queue.onSubmittedWorkDone();
  return {
    submit(times = 1) {
      const encoder = device.createCommandEncoder();
      for (let i = 0; i < times; i++) encode(encoder, commands.list, 0, commands.list.length);
      device.queue.submit([encoder.finish()]);
    },
    dispose() {
      commands.dispose();
      for (const { buffer } of places.values()) buffer.destroy();
    },
  };
}

/** −0.5 to 0.5; as bits of an index they are far outside of everything, which kernels have to bear. */
export function noise(floats: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: floats }, (_, i) => ((i * 7919) % 1013) / 1013 - 0.5);
}
