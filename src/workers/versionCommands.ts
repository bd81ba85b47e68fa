import type { Handlers } from './endpoint.ts';
import type { ModelCommands } from './protocol.ts';

export type VersionCommands = Pick<
  Handlers<ModelCommands>,
  | 'versions'
  | 'createVersion'
  | 'version'
  | 'compareVersions'
  | 'setCurrentVersion'
  | 'setVersionNotes'
  | 'deleteVersion'
  | 'keepVersionWeights'
  | 'versionsZip'
  | 'syncVersion'
  | 'importVersions'
>;

/** The model worker's commands about versions, over the registry of the platform. */
export function versionCommands(): VersionCommands {
  const notYet = () => Promise.reject(new Error('not yet'));
  return {
    versions: notYet,
    createVersion: notYet,
    version: notYet,
    compareVersions: notYet,
    setCurrentVersion: notYet,
    setVersionNotes: notYet,
    deleteVersion: notYet,
    keepVersionWeights: notYet,
    versionsZip: notYet,
    syncVersion: notYet,
    importVersions: notYet,
  };
}
