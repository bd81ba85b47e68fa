import { openArchive } from '../dataset/archive.ts';
import { readModel } from '../export/demo/readModel.ts';
import type { Handlers } from './endpoint.ts';
import type { ModelCommands } from './protocol.ts';

export type DemoCommands = Pick<Handlers<ModelCommands>, 'openModel'>;

/** What the commands about shared models go through. */
export type DemoPlatform = Pick<Handlers<ModelCommands>, 'openCheckpoint'>;

/** Models that are shared: out as a page that shows them, and in from one. */
export function demoCommands({ openCheckpoint }: DemoPlatform): DemoCommands {
  return {
    openModel: async ({ file, name }) => {
      const { files } = await openArchive(file, name);
      const { weights } = await readModel(files, name);
      return openCheckpoint({ file: new Blob([weights]), name });
    },
  };
}
