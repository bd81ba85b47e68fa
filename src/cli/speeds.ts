import type { CutStore, SpeedStore } from '../engine/types.ts';
import { diskCutStore, diskSpeedStore } from '../platform/node/diskSpeedStore.ts';
import { cacheFolder } from './cacheFolder.mjs';
import { projectRoot } from './root.ts';

const folder = (): string | null => cacheFolder(projectRoot(), 'speeds');

/** What `auto` has measured on this computer. */
export function speeds(): SpeedStore {
  return diskSpeedStore(folder);
}

/** What `training.tune` has measured. */
export function cuts(): CutStore {
  return diskCutStore(folder);
}
