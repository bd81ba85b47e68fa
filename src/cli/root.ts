import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

let found: string | undefined;

/** The repository's folder, from the sources and from a bundle in its `.cache` alike; a command may be started from elsewhere. */
export function projectRoot(): string {
  if (found !== undefined) return found;
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'configs', 'base.yaml'))) {
    const above = dirname(folder);
    if (above === folder) throw new Error(`No configs/base.yaml above ${import.meta.dirname}.`);
    folder = above;
  }
  return (found = folder);
}
