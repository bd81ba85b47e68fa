import type { ArchitectureName } from '../architectures/settings.ts';
import { configToYaml } from '../config/yamlOut.ts';
import { StoredImageError } from '../dataset/errors.ts';
import { UserError } from '../errors.ts';
import type { ExportedBytes } from '../export/index.ts';
import { hashBytes } from '../registry/checksums.ts';
import { versionContent } from '../registry/content.ts';
import { folderIn, pathInside } from '../registry/paths.ts';
import { importVersions } from '../registry/import.ts';
import { versionOf } from '../registry/number.ts';
import type { Proof } from '../registry/proof.ts';
import { versionRegistry } from '../registry/registry.ts';
import { syncVersion } from '../registry/sync.ts';
import type { Folder } from '../registry/types.ts';
import { versionsZip } from '../registry/zip.ts';
import { trainedModel } from '../training/trainedModel.ts';
import type { Checkpoint, RunStore } from '../training/types.ts';
import type { CancellableWorks } from './cancelling.ts';
import type { Certified } from './certifying.ts';
import type { OfWork } from './certifyingCommands.ts';
import { CertificateCancelledError, WritingCancelledError } from './certifyingErrors.ts';
import type { Handlers } from './endpoint.ts';
import type { ModelCommands, ModelEvent } from './protocol.ts';

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

/** What the platform gives to the commands about versions. */
export interface VersionPlatform extends Pick<Handlers<ModelCommands>, 'importWeights'> {
  /** Where this page keeps its versions. */
  readonly models: Folder;
  readonly runs: RunStore;
  pickedFolder(handle: FileSystemDirectoryHandle): Folder;
  /**
   * Compares a package of the run's best checkpoint, written with this checkpoint's settings, with its network. Throws as `CertifyRun`
   * does.
   */
  certify(runId: string, exported: ExportedBytes, checkpoint: Checkpoint, of: OfWork): Promise<Certified>;
  readonly works: CancellableWorks;
  emit(event: ModelEvent): void;
  /** ms since the epoch. */
  now(): number;
}

/** A version may be made of what could not be compared; then it says why. One whose comparison was cancelled is not made. */
export async function proofOr(certify: () => Promise<Certified>): Promise<Proof> {
  try {
    return await certify();
  } catch (error) {
    if (error instanceof CertificateCancelledError || error instanceof WritingCancelledError) throw error;
    if (!(error instanceof UserError)) throw error;
    // Its sentence names the file, which may be called after a patient, and versions are handed on.
    const unreadable = error instanceof StoredImageError;
    return {
      uncertified: unreadable ? 'An image on which it was to be compared can no longer be read.' : error.message,
    };
  }
}

/** The model worker's commands about versions, over the registry of the platform. */
export function versionCommands(platform: VersionPlatform): VersionCommands {
  const { runs } = platform;
  const registry = versionRegistry(platform.models);

  /** What would be saved next. */
  const candidate = async (runId: string | null) => {
    const run =
      runId === null ? (await runs.list()).find(({ bestEpoch }) => bestEpoch !== null) : await runs.read(runId);
    return run === undefined ? null : { architecture: run.config.model.architecture, labels: run.dataset.classes };
  };

  return {
    versions: async ({ runId }) => registry.list(await candidate(runId)),
    createVersion: async ({ runId, version, notes, output, workId }) => {
      const content = await platform.works.cancellable(
        workId,
        () => new WritingCancelledError(),
        async (signal) =>
          versionContent({
            version: versionOf(version),
            createdAt: platform.now(),
            ...(await trainedModel(runs, runId)),
            output,
            yaml: configToYaml,
            certify: (exported, checkpoint) =>
              proofOr(() => platform.certify(runId, exported, checkpoint, { signal, workId })),
          }),
      );
      const whose = workId !== undefined && { workId };
      platform.emit({ type: 'modelProgress', what: 'keeping', done: 0, total: 1, ...whose });
      return registry.create(content, notes);
    },
    version: ({ version }) => registry.read(version),
    compareVersions: ({ a, b }) => registry.diff(a, b),
    setCurrentVersion: async ({ version }) => {
      await registry.setCurrent(version);
      return null;
    },
    setVersionNotes: async ({ version, notes }) => {
      await registry.setNotes(version, notes);
      return null;
    },
    deleteVersion: async ({ version }) => {
      await registry.remove(version);
      return null;
    },
    keepVersionWeights: async ({ version }) => {
      const { record, files } = await registry.open(version);
      const weights = files.get('weights.safetensors');
      if (weights === undefined) throw new Error(`${record.version} has no weights.safetensors`);
      const architecture = record.architecture as ArchitectureName;
      return platform.importWeights({ file: new Blob([weights]), name: record.version, architecture });
    },
    versionsZip: async ({ version, iosDir }) => {
      const { fileName, bytes } = await versionsZip(registry, version, iosDir);
      return { fileName, blob: new Blob([bytes], { type: 'application/zip' }), sha256: hashBytes(bytes) };
    },
    syncVersion: async ({ version, folder, modelsDir, iosDir, dryRun, unproven }) => {
      const target = { folder: platform.pickedFolder(folder), modelsDir, iosDir };
      const changes = await syncVersion(registry, version, target, { dryRun, unproven });
      if (!dryRun) await registry.setCurrent(version);
      return changes;
    },
    importVersions: ({ folder, modelsDir }) =>
      importVersions(versionRegistry(folderIn(platform.pickedFolder(folder), pathInside(modelsDir))), registry),
  };
}
