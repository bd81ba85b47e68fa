import type { SpeedStore } from '../engine/types.ts';
import { diskSpeedStore } from '../platform/node/diskSpeedStore.ts';
import { cacheFolder } from './cacheFolder.mjs';
import { projectRoot } from './root.ts';

/** What `auto` has measured on this computer. */
export function speeds(): SpeedStore {
  return diskSpeedStore(() => cacheFolder(projectRoot(), 'speeds'));
}
