import type { Config } from '../config/schema.ts';
import type { HowMany } from './certificateImages.ts';
import type { ArchitectureName } from '../architectures/settings.ts';
import type { SampleSettings } from '../dataset/settings.ts';
import type { AddedImages, Dataset, Members, RgbImage, Split } from '../dataset/types.ts';
import type { AdapterReport } from '../engine/types.ts';
import type { ErrorReport } from '../errors.ts';
import type { EvaluationReport, Prediction } from '../evaluation/types.ts';
import type { EpochMetrics, RunEvent, TrainingOption, WeightsOrigin } from '../training/events.ts';
import type { ExportFormatId } from '../export/index.ts';
import type { Precision, WeightStorage } from '../export/types.ts';
import type { Certificate, CertifiedFormat } from '../parity/types.ts';
import type { RegistryListing, SyncChange, VersionDetails, VersionDiff, VersionRecord } from '../registry/types.ts';

/** What crosses the border, so that the page needs no other room's files. */
export type {
  AdapterReport,
  AddedImages,
  ArchitectureName,
  Certificate,
  CertifiedFormat,
  Config,
  Dataset,
  EpochMetrics,
  ErrorReport,
  EvaluationReport,
  ExportFormatId,
  HowMany,
  Members,
  Precision,
  Prediction,
  RegistryListing,
  RgbImage,
  RunEvent,
  Split,
  SyncChange,
  TrainingOption,
  VersionDetails,
  VersionDiff,
  VersionRecord,
  WeightStorage,
  WeightsOrigin,
};

/**
 * All that page and workers share. Each worker exposes `WorkerEndpoint` through Comlink and nothing else; no tensor crosses.
 * A command answers with its result or with an `ErrorReport`; events come batched, at most ten times a second.
 */
export interface WorkerEndpoint<Commands extends CommandMap, Event> {
  dispatch<T extends keyof Commands & string>(
    type: T,
    payload: Commands[T]['payload'],
  ): Promise<Outcome<Commands[T]['result']>>;
  subscribe(listener: (events: Event[]) => void): Promise<void>;
}
export type CommandMap = Record<string, { payload: unknown; result: unknown }>;
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ErrorReport };

// ---- dataset worker ------------------------------------------------------------------------------------------------------

/** A file with its path in the folder it came from (a zip: its own name). */
export interface NamedFile {
  readonly path: string;
  readonly file: Blob;
}

/** A file that a link names. */
export interface LinkedFile {
  readonly url: string;
  readonly name: string;
  /** Null: the page's own. */
  readonly host: string | null;
  /** Null: its server doesn't say. */
  readonly bytes: number | null;
}

/** One training image as a run sees it. */
export interface AugmentedImage {
  /** Into `Dataset.images`. */
  readonly index: number;
  /** As it is judged, then as it is in each epoch asked for; null: its pixels could not be read. */
  readonly tiles: readonly RgbImage[] | null;
}

export type SplitSettings = Pick<Config['data'], 'validation_split' | 'test_split' | 'seed'>;

export interface DatasetCommands extends CommandMap {
  /** One `.zip`, or the files of a folder. Emits `importProgress`. */
  importFiles: {
    payload: {
      files: readonly NamedFile[];
      name: string;
      source: 'zip' | 'folder';
      imgSize: number;
      decoders: number;
      /** Default 2, as a classifier needs; 1: images to judge. */
      minClasses?: number;
    };
    result: Dataset;
  };
  importSample: { payload: { sample: SampleSettings; imgSize: number }; result: Dataset };
  /**
   * A new data set: the old one's images, which keep their split, and what the files bring; the old one stays. Merged by class;
   * what is there already, byte for byte, is not taken twice. `members`: the split that the newest model of the old images really had
   * (`membersOf`); `split`: how images that it doesn't know are divided, and the new ones among themselves.
   */
  addFiles: {
    payload: {
      id: string;
      files: readonly NamedFile[];
      name: string;
      source: 'zip' | 'folder';
      imgSize: number;
      decoders: number;
      split: SplitSettings;
      members: Members | null;
    };
    result: AddedImages;
  };
  /** The whole data set as a zip that opens here, headless and in torchvision, with the same classes, splits and hash. */
  datasetZip: { payload: { id: string }; result: Blob };
  /** The import under way ends with `ImportCancelledError`; nothing of it is kept. */
  cancelImport: { payload: null; result: null };
  list: { payload: null; result: Dataset[] };
  /** What newer pages have stored on this computer, of any kind, and this one leaves alone; null where there is nothing. */
  storedByNewer: { payload: null; result: ErrorReport | null };
  /** What a frozen backbone gave for its images goes with it. */
  delete: { payload: { id: string }; result: null };
  /** Bytes of what frozen backbones gave and is kept for the next run. */
  features: { payload: null; result: number };
  deleteFeatures: { payload: null; result: null };
  /** Uncropped, at most `side` pixels on the long side; in the order asked for. */
  thumbnails: { payload: { id: string; indices: readonly number[]; side: number }; result: RgbImage[] };
  /**
   * What a run started with this configuration and these weights would see of `count` of its training images: the pixels of
   * each epoch's own draws, rounded, and made smaller where they have more than `side`. They come class by class in turn,
   * beginning with the one at `from`, and begin again after the last; `of`: how many there are.
   */
  previewAugmentation: {
    payload: {
      id: string;
      config: Pick<Config, 'data' | 'training'>;
      weightsId: string | null;
      from: number;
      count: number;
      epochs: readonly number[];
      side: number;
    };
    result: { images: readonly AugmentedImage[]; of: number };
  };
  /** The file as it was imported. */
  original: { payload: { id: string; index: number }; result: Blob };
  sampleZip: { payload: { sample: SampleSettings }; result: Blob };
  /** Whether a zip is a model, of whatever version, and no data set. Looks at its table of contents and one small file. */
  holdsModel: { payload: { file: Blob }; result: boolean };
  /** Id of the stored sample that these settings would draw; null where it has to be drawn. */
  findSample: { payload: { sample: SampleSettings }; result: string | null };

  // Zips that a link names.
  /** Asks its server for the size; relative addresses begin at the page. Throws where it could not be opened either. */
  lookAtLink: { payload: { address: string }; result: LinkedFile };
  /** Emits `downloadProgress`. */
  download: { payload: Pick<LinkedFile, 'url' | 'bytes'>; result: Blob };
  /** The download ends with `DownloadCancelledError`. */
  cancelDownload: { payload: { url: string }; result: null };
}
export type DatasetEvent =
  | {
      readonly type: 'importProgress';
      readonly stage: 'reading' | 'drawing' | 'storing';
      readonly done: number;
      readonly total: number;
      readonly secondsLeft: number | null;
      readonly skipped: number;
    }
  | {
      readonly type: 'downloadProgress';
      readonly url: string;
      /** Bytes. */
      readonly done: number;
      readonly total: number | null;
      readonly secondsLeft: number | null;
    }
  | { readonly type: 'log'; readonly message: string };

// ---- trainer worker ------------------------------------------------------------------------------------------------------

export interface RunSummary {
  readonly schema: 4;
  readonly id: string;
  readonly createdAt: number;
  readonly config: Config;
  readonly dataset: {
    readonly id: string;
    readonly name: string;
    readonly hash: string;
    readonly synthetic: boolean;
    readonly classes: readonly string[];
  };
  /** `interrupted`: its worker or tab ended in mid-run; `resume` goes on from the newest checkpoint. */
  readonly state: 'running' | 'interrupted' | 'stopped' | 'completed' | 'failed';
  /** Newest whole checkpoint; null before the first. */
  readonly latestEpoch: number | null;
  readonly bestEpoch: number | null;
  readonly storedBytes: number;
}

export interface TrainerCommands extends CommandMap {
  /**
   * Looks at this computer: what `training.device` would take. Starts nothing that stays; with `auto` and a real GPU the first time, and
   * whenever it is to be looked at `anew`, it measures for two seconds.
   */
  probe: { payload: { device: Config['training']['device']; anew?: boolean }; result: AdapterReport };
  /** Times a step or two of each sensible way to train. Cancelled by `stop`. */
  estimate: { payload: { config: Config; datasetId: string; weightsId: string | null }; result: TrainingOption[] };
  /**
   * Answers once the run has ended. `weightsId`: a file imported before; null: as `model.pretrained` says. `profile`: one step is timed,
   * kernel by kernel.
   */
  start: {
    payload: { config: Config; datasetId: string; weightsId: string | null; profile?: boolean };
    result: { runId: string };
  };
  /** Goes on from the newest checkpoint. */
  resume: { payload: { runId: string; profile?: boolean }; result: { runId: string } };
  pause: { payload: null; result: null };
  continue: { payload: null; result: null };
  /** Ends after the current micro-batch; what has been learnt is kept as a checkpoint and judged. */
  stop: { payload: null; result: null };
  /**
   * For a process that has to end soon: the run ends at once as `stopped` with the checkpoint of its last whole epoch, and is not
   * judged on Test; `resume` trains the epoch that was cut off anew, so that the run becomes what it would have been. Before the
   * first whole epoch: `StoppedBeforeFirstStepError`, and nothing is kept.
   */
  suspend: { payload: null; result: null };
  runs: { payload: null; result: RunSummary[] };
  /** Which images a run trains and is judged with; null where there is no such run or it can't be told any more. */
  membersOf: { payload: { runId: string }; result: Members | null };
  /** The stored log. */
  events: { payload: { runId: string }; result: RunEvent[] };
  deleteRun: { payload: { runId: string }; result: null };
}
export type TrainerEvent = { readonly runId: string; readonly event: RunEvent };

// ---- model worker --------------------------------------------------------------------------------------------------------

export interface StoredWeights {
  readonly id: string;
  readonly name: string;
  readonly sha256: string;
  readonly architecture: ArchitectureName;
  readonly classes: number;
  /** The labels that its head tells apart; null where the file doesn't say. */
  readonly labels: readonly string[] | null;
  readonly bytes: number;
  readonly warnings: readonly string[];
  /** True: fetched by the page, as `model.pretrained` asks; false: a file that the user gave. */
  readonly downloaded: boolean;
  /** Whether a checksum that is known, or the one in the file's name, was met. */
  readonly verified: boolean;
}

export interface ExportedFile {
  readonly fileName: string;
  readonly blob: Blob;
  readonly sha256: string;
}

/** A model in some format, in the form that the format could hold of what was asked for. */
export interface WrittenFile extends ExportedFile {
  readonly precision: Precision;
  readonly weights: WeightStorage;
}

export interface FileCertificate {
  readonly certificate: Certificate;
  /** What an image took, seconds; null where that could not be told. */
  readonly secondsEach: number | null;
  /** Larger comparisons that are possible, smallest first. */
  readonly further: readonly { readonly howMany: HowMany; readonly images: number }[];
}

/** Names a work among those that this page has under way, for `cancel` and in its events. */
export type WorkId = number;

export interface ModelCommands extends CommandMap {
  evaluate: { payload: { runId: string; split: Split }; result: EvaluationReport };
  predict: { payload: { runId: string; file: Blob }; result: Prediction };
  /** Throws `WritingCancelledError`. */
  exportModel: {
    payload: {
      runId: string;
      format: ExportFormatId;
      /** Name, metadata and form as they stand on the page now; without it, as the run was configured. */
      output?: Config['output'];
      workId?: WorkId;
    };
    result: WrittenFile;
  };
  /**
   * Reads the bytes of an exported file back and compares them, image by image, with the trained network: Try and Evaluate answer
   * meanwhile. `output`: the thresholds, and what the file was written as. Emits `modelProgress` of `certifying`. A certificate that failed is a
   * result, that of a file that can't be read, too; throws `CertificateImagesMissingError`, `CertificateCancelledError`,
   * `ComparisonBrokenOffError`, and what reading images throws.
   */
  certify: {
    payload: {
      runId: string;
      format: CertifiedFormat;
      file: WrittenFile;
      output: Config['output'];
      howMany: HowMany;
      workId?: WorkId;
    };
    result: FileCertificate;
  };
  /**
   * One zip for whoever builds the app: the Core ML package, its certificate, images that show the same on a Mac, labels, settings, weights.
   * Where the package could not be compared, the bundle says so. Throws `WritingCancelledError`.
   */
  exportBundle: {
    payload: { runId: string; output: Config['output']; howMany: HowMany; workId?: WorkId };
    result: WrittenFile & {
      readonly check: FileCertificate | { readonly certificate: null; readonly error: ErrorReport };
    };
  };
  /** Ends that work with its error of cancelling, wherever it is; no other. What isn't under way, or too far to be undone, hears nothing. */
  cancel: { payload: { workId: WorkId }; result: null };
  /**
   * Reads, checks and keeps a weights file: safetensors, a checkpoint, or PyTorch's `.pt`/`.pth`. `architecture` null: whichever
   * it fits. Throws if it belongs to another architecture. `labels`: what the rows of its head stand for, where the user knows
   * better than the file.
   */
  importWeights: {
    payload: { file: Blob; name: string; architecture: ArchitectureName | null; labels?: readonly string[] };
    result: StoredWeights;
  };
  /** The best weights of a run, kept as a weights file to start another run from. */
  keepWeights: { payload: { runId: string }; result: StoredWeights };
  /** A whole checkpoint as a file, to go on from on another computer. */
  checkpointFile: { payload: { runId: string; which: 'latest' | 'best' }; result: ExportedFile };
  /** A checkpoint made elsewhere becomes a run of this page: to try, evaluate, export, and resume where its data set is here. */
  openCheckpoint: { payload: { file: Blob; name: string }; result: RunSummary };
  /**
   * A small page with the best model of a run in it, as a zip: for any static host, and for `openModel`. `output`: name and metadata
   * as they stand on the page. Throws `DemoPageMissingError`.
   */
  exportDemo: { payload: { runId: string; output: Config['output'] }; result: ExportedFile };
  /**
   * Somebody's model, a zip of `exportDemo`, becomes a run of this page, as a checkpoint does. Throws `NotAModelError`,
   * `ModelVersionError`, `ModelUnreadableError`, `ModelWeightsMissingError`, `ModelDamagedError`, and as `openCheckpoint` does.
   */
  openModel: { payload: { file: Blob; name: string }; result: RunSummary };
  weights: { payload: null; result: StoredWeights[] };
  deleteWeights: { payload: { id: string }; result: null };

  // Versions: the registry of this page (`models/` of a repository has the same layout).
  /** `runId`: the run whose model the number suggested is for; null: the newest that has one. */
  versions: { payload: { runId: string | null }; result: RegistryListing };
  /**
   * The best checkpoint of a run becomes an immutable version: package, certificate, weights, configuration, metrics, labels, checksums.
   * One that fails its comparison, or could not be compared, says so. Emits `modelProgress` of `certifying`, then of `keeping`: up to
   * there it can be cancelled, and throws `WritingCancelledError`.
   */
  createVersion: {
    payload: { runId: string; version: string; notes: string; output: Config['output']; workId?: WorkId };
    result: VersionRecord;
  };
  /** All about one, its checksums verified. */
  version: { payload: { version: string }; result: VersionDetails };
  compareVersions: { payload: { a: string; b: string }; result: VersionDiff };
  /** Points `current` at it: also how one rolls back. */
  setCurrentVersion: { payload: { version: string }; result: null };
  setVersionNotes: { payload: { version: string; notes: string }; result: null };
  /** From this browser; what was synced into a folder stays there. */
  deleteVersion: { payload: { version: string }; result: null };
  /** Its weights, kept as a weights file to start a run from. */
  keepVersionWeights: { payload: { version: string }; result: StoredWeights };
  /** The layout of the repository as a zip: `models/…` and the package under `iosDir`. */
  versionsZip: { payload: { version: string; iosDir: string }; result: ExportedFile };
  /**
   * Writes the version, `current` and the package into the user's folder (File System Access); `dryRun` only lists what would
   * change. Throws `UnprovenVersionError` for a version without a certificate that passed, unless `unproven` says that it is wanted so.
   */
  syncVersion: {
    payload: {
      version: string;
      folder: FileSystemDirectoryHandle;
      modelsDir: string;
      iosDir: string;
      dryRun: boolean;
      unproven: boolean;
    };
    result: readonly SyncChange[];
  };
  /** Versions that a repository's folder has and this page lacks are taken over, checksums verified. */
  importVersions: { payload: { folder: FileSystemDirectoryHandle; modelsDir: string }; result: readonly string[] };
}
export type ModelEvent = {
  readonly type: 'modelProgress';
  readonly what: string;
  readonly done: number;
  readonly total: number;
  /** Of all work, 0–1, where it is told more finely than by `done`. */
  readonly share?: number;
  /** Absent where nothing is known of it. */
  readonly secondsLeft?: number;
  /** Of the work that was given one. */
  readonly workId?: WorkId;
};
