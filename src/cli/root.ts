import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheFolder } from './cacheFolder.mjs';
import { NoCacheFolderError } from './errors.ts';

/** Put in by scripts/bundle-cli.mjs. */
declare const __PROJECT_ROOT__: string | undefined;

let found: string | undefined;

/** The repository's folder, from the sources and from a bundle, wherever that lies; a command may be started from elsewhere. */
export function projectRoot(): string {
  if (found !== undefined) return found;
  if (typeof __PROJECT_ROOT__ === 'string') return (found = __PROJECT_ROOT__);
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'configs', 'base.yaml'))) {
    const above = dirname(folder);
    if (above === folder) throw new Error(`No configs/base.yaml above ${import.meta.dirname}.`);
    folder = above;
  }
  return (found = folder);
}

/** A folder for what can be made anew, that this user can write to. Throws `NoCacheFolderError`. */
export function cacheFor(name: 'datasets' | 'weights'): string {
  const folder = cacheFolder(projectRoot(), name);
  if (folder === null) throw new NoCacheFolderError(projectRoot());
  return folder;
}
