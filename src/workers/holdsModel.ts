import { openArchive } from '../dataset/archive.ts';
import { holdsModel as filesHoldModel } from '../export/demo/readModel.ts';
import type { Handlers } from './endpoint.ts';
import type { DatasetCommands } from './protocol.ts';

/** What can't be opened here is no model either: whoever takes it for a data set says what is wrong with it. */
export const holdsModel: Handlers<DatasetCommands>['holdsModel'] = async ({ file }) => {
  try {
    return await filesHoldModel((await openArchive(file, '')).files);
  } catch {
    return false;
  }
};
