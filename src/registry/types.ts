import type { Certificate } from '../parity/types.ts';
import type { EpochMetrics } from '../training/events.ts';

/**
 * A folder that versions are kept in: the file system (platform/node), IndexedDB or a folder that the user picked
 * (platform/browser). Paths are relative and `/`-separated; `''` is the folder itself.
 */
export interface Folder {
  /** Names directly in `path`, sorted, those of folders with a `/` at the end; [] where there is no such folder. */
  list(path: string): Promise<string[]>;
  read(path: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Whole or not at all: whoever reads sees the old bytes or the new ones. Makes the folders above. */
  write(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** A file, or a folder with all that is in it; nothing happens where there is none. */
  remove(path: string): Promise<void>;
  /**
   * Puts the finished folder `from` in the place of `to`, where the platform can rename folders; while it does, and after a
   * kill in its middle, the old one may lie beside it as `.NAME.old`.
   */
  replaceFolder?(from: string, to: string): Promise<void>;
}

/** Of the bytes, hexadecimal. */
export type Sha256 = (bytes: Uint8Array) => string;

/** Path in a folder → content. */
export type Files = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

export interface VersionFile {
  /** In the version's folder. */
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** What a version says of its certificate, which lies beside its package as `certificate.json`. */
export interface VersionCertificate extends Omit<Certificate, 'schema' | 'labels' | 'perClass'> {
  /** Of the files that it is about, and of the certificate itself (`provenContent`), hexadecimal; `sha256` is of the zip that was read back. */
  readonly content: string;
}

/** `version.json` of `models/versions/vX.Y.Z/`. */
export interface VersionRecord {
  readonly schema: 2;
  /** `v1.2.0`, also the folder's name. */
  readonly version: string;
  /** ms since the epoch. */
  readonly createdAt: number;
  readonly modelName: string;
  readonly architecture: string;
  readonly labels: readonly string[];
  readonly dataset: {
    readonly name: string;
    readonly hash: string;
    readonly synthetic: boolean;
    readonly images: { readonly train: number; readonly val: number; readonly test: number } | null;
  };
  /** Judged once, with the epoch that validation picked; null where there was no Test split. */
  readonly test: {
    readonly n: number;
    readonly accuracy: number;
    readonly interval: readonly [number, number];
    readonly loss: number;
  } | null;
  readonly validation: EpochMetrics | null;
  readonly epoch: number;
  /** What its training started from, in words: `ImageNet weights`, `a random start`, `v1.0.0`. */
  readonly startedFrom: string;
  /** How the package was found to agree with the trained model, or to differ; null: nobody looked, or it is of another package. */
  readonly certificate: VersionCertificate | null;
  /** Why there is none, in a sentence; '' where there is one. */
  readonly uncertified: string;
  /** Package, weights, configuration, metrics, labels and certificate together. */
  readonly bytes: number;
}

export interface RegistryListing {
  /** The highest number first. */
  readonly versions: readonly (VersionRecord & { readonly notes: string })[];
  /** What `current` names; null where nothing is current. */
  readonly current: string | null;
  /** The next number, by what changed: labels or architecture changed → minor; first → v1.0.0. */
  readonly suggested: string;
  /** Folders that look like versions but are not whole, with the reason: never written to the end, or changed since. */
  readonly damaged: readonly { readonly version: string; readonly reason: string }[];
  /** Versions that newer code saved: not looked into, left as they are; the highest number first. */
  readonly newer: readonly string[];
}

export interface VersionDetails extends VersionRecord {
  readonly notes: string;
  readonly files: readonly VersionFile[];
  /** The effective configuration as YAML. */
  readonly config: string;
  /** `metrics.json` as it lies in the folder. */
  readonly metrics: string;
}

export interface VersionDiff {
  readonly a: VersionRecord;
  readonly b: VersionRecord;
  readonly labelsAdded: readonly string[];
  readonly labelsRemoved: readonly string[];
  /** What must be said before their Test figures are compared; '' where they are of the same images. */
  readonly testSets: string;
  /** Settings that differ, by path, as YAML scalars; null: the setting is absent there. */
  readonly settings: readonly { readonly path: string; readonly a: string | null; readonly b: string | null }[];
}

/** What a sync did, or would do. Paths are relative to the folder that is synced into. */
export interface SyncChange {
  readonly action: 'create' | 'replace' | 'remove' | 'unchanged';
  readonly path: string;
  readonly bytes: number;
  /** `current`: what it said before and says now; else absent. */
  readonly from?: string | null;
  readonly to?: string;
}
