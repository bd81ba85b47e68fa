import { isAbsolute } from 'node:path';
import { UserError } from '../errors.ts';
import type { Precision, WeightStorage } from '../export/types.ts';
import { noCacheFolder } from './cacheFolder.mjs';

const unchanged = 'Nothing was changed.';

/** The command line itself can't be understood. */
export class UsageError extends UserError {
  constructor(message: string, command: string) {
    super(message, { kept: unchanged, remedy: `npm run ${command} -- --help shows every flag.` });
  }
}

/** A file or folder that was named isn't there. */
export class FileMissingError extends UserError {
  constructor(what: string, path: string, remedy: string) {
    // Under npm run it is the repository, wherever npm was called.
    const from = isAbsolute(path) ? '' : ` A relative path begins in ${process.cwd()}.`;
    super(`There is no ${what} ${path}.`, { kept: unchanged, remedy: `${remedy}${from}` });
  }
}

/** What a failed reading means to the user; anything else comes back as it is. */
export function asReadableFile(error: unknown, what: string, path: string, remedy: string): unknown {
  if (!(error instanceof Error && 'code' in error)) return error;
  return new FileMissingError(error.code === 'ENOENT' ? what : `${what} that can be read at`, path, remedy);
}

/** This user may write neither to the repository nor to a place of their own. */
export class NoCacheFolderError extends UserError {
  constructor(root: string) {
    const { message, ...rest } = noCacheFolder(root);
    super(message, rest);
  }
}

/** `--checkpoint v1.0.0`, where only a checkpoint will do. */
export class VersionIsNoCheckpointError extends UserError {
  constructor(version: string, remedy: string) {
    super(
      `${version} is a version, and those hold weights without what it takes to go on with a training: no checkpoint.`,
      {
        kept: unchanged,
        remedy,
      },
    );
  }
}

/** `data.source: files`, and no images where they should be. `purpose`: what they were wanted for. */
export class NoDataError extends UserError {
  constructor(found: string, purpose: 'train on' | 'judge') {
    super(`There are no images to ${purpose}: ${found}.`, {
      kept: unchanged,
      remedy:
        'Fetch the data set with npm run download-data, name a zip or a folder with --data PATH, ' +
        'or take the built-in sample with --set data.source=sample.',
    });
  }
}

/** `model.pretrained: true`, and no weights here or on the network. */
export class NoPretrainedWeightsError extends UserError {
  /** `exist`: whether somebody has published some. */
  constructor(architecture: string, exist: boolean, message: string, cause: unknown) {
    const random = 'from a random start with --set model.pretrained=false';
    super(exist ? message : `${architecture} has no pretrained weights, here or elsewhere.`, {
      kept: unchanged,
      remedy: !exist
        ? `Train ${random}, or start from a model of yours with --from.`
        : `Fetch them where there is a network: npm run fetch-weights -- ${architecture}; copy a file with torchvision’s names to ` +
          `public/weights/${architecture}.safetensors or name it with --from FILE; or train ${random}.`,
      cause,
    });
  }
}

/** `fetch-weights` without a network, or where the hosts don't answer. */
export class WeightsNotFetchedError extends UserError {
  constructor(architecture: string, message: string, cause: unknown) {
    super(message, {
      kept: unchanged,
      remedy:
        'Try again where there is a network that reaches these addresses; or download the file on another computer and copy it ' +
        `to public/weights/${architecture}.safetensors, under torchvision’s names.`,
      cause,
    });
  }
}

/** A run that was cut off lies in the folder that a new one wants. */
export class UnfinishedRunError extends UserError {
  constructor(dir: string, epoch: number, epochs: number) {
    super(`${dir} holds a run that was cut off after epoch ${epoch} of ${epochs}.`, {
      kept: 'It is as it was; nothing was started.',
      remedy: `Go on with it: --resume. Or start anew with --fresh: its files then move to ${dir}/previous/.`,
    });
  }
}

/** Flags or a configuration file ask for other settings than those that the run to be resumed has. */
export class OtherSettingsError extends UserError {
  constructor(differences: readonly string[]) {
    super(`The run to go on with was started with other settings: ${differences.join('; ')}.`, {
      kept: 'The run is as it was.',
      remedy: 'Leave these settings out to go on with it (more --epochs are allowed), or start anew with --fresh.',
    });
  }
}

/** The images found now are not those that the run was trained on. */
export class OtherDatasetError extends UserError {
  constructor(found: string, wanted: string) {
    super(`These are not the images that the run was trained on: found ${found}, the run has ${wanted}.`, {
      kept: 'The run and its checkpoints are as they were.',
      remedy:
        'Name the same images, with the same --data and --add as before. To train on other images, start anew from its weights: ' +
        '--fresh --from with a copy of its checkpoint_best.safetensors.',
    });
  }
}

/** A version is asked for, and `output.dir` holds no model to make it of. */
export class NoModelError extends UserError {
  constructor(dir: string) {
    super(`There is no trained model in ${dir} to make a version of.`, {
      kept: unchanged,
      remedy: 'Train one first: npm run train. Or name the folder that it lies in: --set output.dir=FOLDER.',
    });
  }
}

/** The run in `output.dir` was cut off, or is still on. */
export class UnfinishedModelError extends UserError {
  constructor(dir: string, epoch: number | null, epochs: number) {
    super(`The run in ${dir} is not complete (epoch ${epoch ?? 0} of ${epochs}): no version is made of it.`, {
      kept: unchanged,
      remedy: 'Finish it: npm run train -- --resume, with the same flags as before.',
    });
  }
}

/** The version was made, and its package could not be copied. */
export class VersionNotCopiedError extends UserError {
  constructor(folder: string, version: string, cause: UserError) {
    super(cause.message, {
      kept: `${folder} was made and stays. In the app’s folder: ${cause.kept}`,
      remedy: `${cause.remedy} Then again: npm run sync-model -- --version ${version}`,
      cause,
    });
  }
}

/** A file is to be compared with the trained model, and there is nothing to compare them on. */
export class NoCertificateImagesError extends UserError {
  constructor(dataset: string, cause: unknown) {
    super(`The images that the model was trained with, ${dataset}, are not here: there is nothing to compare on.`, {
      kept: unchanged,
      remedy: 'Name them, or others of the same classes, with --data PATH.',
      cause,
    });
  }
}

/** The file doesn't say what the trained model says. */
export class CertificateFailedError extends UserError {
  /** `failures`: sentences; `path`: where the file would have been written to. */
  constructor(path: string, failures: readonly string[], written: Rounded) {
    const flags = nearest(written);
    super(`${path} was not written, because it does not answer as the trained model does. ${failures.join(' ')}`, {
      kept: 'What was there before was left as it is, and so was the checkpoint.',
      remedy:
        `${flags === '' ? '' : `Try ${flags}. `}What may differ is set in output.certificate.max_difference and max_flips. ` +
        'With --force the file is written all the same, its certificate beside it.',
    });
  }
}

/** A run is complete, and its package doesn't say what the trained model says. */
export class PackageHeldBackError extends UserError {
  /** `kept`: files; `command`: `npm run export -- …` that writes this very package; `removed`: whether there was an earlier one. */
  constructor(path: string, kept: readonly string[], written: Rounded, command: string, removed: boolean) {
    const earlier = removed ? ' The package that was there was removed: no certificate speaks for it any more.' : '';
    const flags = nearest(written);
    super(`${path} was held back: its certificate says that it does not answer as the trained model does.`, {
      kept: `The run is complete: ${kept.join(', ')}.${earlier}`,
      remedy:
        (flags === '' ? '' : `To write a package that is nearer to the model: ${command} ${flags}\n`) +
        `To write this one all the same: ${command} --force`,
    });
  }
}

/** What a file was written as. */
interface Rounded {
  readonly precision: Precision;
  readonly weights: WeightStorage;
}

/** The flags by which it would be as near to the model as can be; '' where it is. */
function nearest({ precision, weights }: Rounded): string {
  return [precision === 'float32' ? [] : ['--precision float32'], weights === 'full' ? [] : ['--weights full']]
    .flat()
    .join(' ');
}

/** A version would be made, or copied, that nothing proves to be the trained model. */
export class VersionUnprovenError extends UserError {
  /** `problem`: of `proofProblem`; `made`: whether the version exists. */
  constructor(version: string, problem: string, made: boolean) {
    super(
      `${version} was not ${made ? 'copied' : 'made'}, because nothing proves that it answers as the trained model does. ${problem}`,
      {
        kept: made ? `${version} and the app’s folder are as they were.` : unchanged,
        remedy: made
          ? `Make another version of its model that has a certificate, or copy it all the same with --force.`
          : 'Name images to compare on with --data PATH, or try --set output.precision=float32; with --force it is made and copied ' +
            'all the same, and says what it lacks.',
      },
    );
  }
}

/** The split that was asked for is empty. */
export class NothingToJudgeError extends UserError {
  constructor(split: string, dataset: string) {
    super(`${dataset} has no image to judge in its split ${split}.`, {
      kept: unchanged,
      remedy: 'Name images with --data PATH, or another split with --split val or --split train.',
    });
  }
}
