import type { Graph } from '../../../graph/types.ts';
import type { Cuts, CutStore } from '../../types.ts';
import type { Pipelines } from '../device/pipelines.ts';
import type { DeviceTraits } from '../kernels.ts';
import { sharedTiles } from '../wgsl/gemmTiles.ts';
import { chosenOf } from './cuts.ts';
import { tuned, type TunedStep, type Tuning } from './tune.ts';
import { versionOf } from './version.ts';

/** For as long as the process lives. */
export function cutsInMemory(): CutStore {
  const kept = new Map<string, Cuts['chosen']>();
  return { read: async (key) => kept.get(key), write: async (key, chosen) => void kept.set(key, chosen) };
}

/** The device as it tells of itself; browsers say less, and round off what they say. */
export function deviceKey({ adapterInfo: { vendor, architecture, device, description } }: GPUDevice): string {
  return JSON.stringify([vendor, architecture, device, description]);
}

/**
 * The cuts of a step on this device: `recorded`, of a run that goes on, where it was recorded here; else what is stored of this device and these
 * kernels, and of classes that nothing is stored of what `tuned` measures, which is stored.
 */
export async function cutsFor(
  device: GPUDevice,
  pipelines: Pipelines,
  traits: DeviceTraits,
  graph: Graph,
  step: TunedStep,
  { store, recorded, ...tuning }: Omit<Tuning, 'known'> & { readonly store: CutStore; readonly recorded: Cuts | null },
): Promise<Cuts> {
  const own = deviceKey(device);
  if (recorded?.device === own) return recorded;
  const { tried = sharedTiles } = tuning;
  const { precision = 'float32' } = step;
  const key = [own, precision, versionOf(traits, tried, precision)].join(' ');
  const known = chosenOf(await store.read(key).catch(() => undefined));
  const chosen = await tuned(device, pipelines, traits, graph, step, { ...tuning, known });
  const isNew = Object.keys(chosen).some((name) => !Object.hasOwn(known, name));
  // Where nothing can be stored, the next run measures again.
  if (isNew) await store.write(key, { ...known, ...chosen }).catch(() => undefined);
  return { device: own, chosen };
}
