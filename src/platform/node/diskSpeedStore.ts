import type { CutStore, Speeds, SpeedStore } from '../../engine/types.ts';
import { diskMeasurements } from './measurements.ts';

/** `speeds.json` in a folder. */
export function diskSpeedStore(folder: () => string | null, version?: string): SpeedStore {
  const { read, write } = diskMeasurements(folder, 'speeds.json', version);
  return {
    read: async (key) => {
      const found = (await read(key)) as Partial<Speeds> | undefined;
      const { webgpu, wasm } = found ?? {};
      return typeof webgpu === 'number' && typeof wasm === 'number' ? { webgpu, wasm } : undefined;
    },
    write,
  };
}

/** `cuts.json` beside it. */
export function diskCutStore(folder: () => string | null, version?: string): CutStore {
  return diskMeasurements(folder, 'cuts.json', version);
}
