import { UserError } from '../errors.ts';

const untouched = 'All versions are as they were.';
const takenOver = (taken: readonly string[]): string =>
  taken.length > 0 ? `${taken.join(', ')} ${taken.length > 1 ? 'were' : 'was'} taken over. ` : '';

/** Not of the form `v1.2.0`. */
export class InvalidVersionError extends UserError {
  constructor(text: string) {
    super(`“${text}” is no version number.`, {
      kept: untouched,
      remedy: 'Write three whole numbers with points between them, such as v1.2.0.',
    });
  }
}

/** A version is immutable: its number stands for one model, for good. */
export class VersionExistsError extends UserError {
  constructor(version: string, suggested: string, where = '') {
    super(`There is a version ${version}${where} already, with another content; a version never changes.`, {
      kept: untouched,
      remedy: `Choose another number, such as ${suggested}.`,
    });
  }
}

export class NoSuchVersionError extends UserError {
  constructor(version: string, there: readonly string[]) {
    super(`There is no version ${version}.`, {
      kept: untouched,
      remedy: there.length > 0 ? `Choose one of ${there.join(', ')}.` : 'There is none yet: make one first.',
    });
  }
}

/** A version's folder that was never written to its end, or was changed since. */
export class DamagedVersionError extends UserError {
  /** `taken`: versions that were taken over before this one could not be. */
  constructor(version: string, reason: string, taken: readonly string[] = []) {
    super(`Version ${version} is damaged: ${reason}.`, {
      kept: takenOver(taken) + 'Nothing of the damaged one was used or copied, and it was left as it is.',
      remedy: `Bring the folder of ${version} back from version control or a backup, or remove it and make the version anew.`,
    });
  }
}

/** A version whose record has a schema that this code doesn't know. */
export class NewerVersionError extends UserError {
  /** `taken`: as in `DamagedVersionError`. */
  constructor(version: string, taken: readonly string[] = []) {
    super(`Version ${version} was saved by a newer version of PacerID Studio, and this one cannot read it.`, {
      kept: `${takenOver(taken)}It was left as it is: it is neither used nor changed nor removed here.`,
      remedy: `Use ${version} where the newer one is: reload the page, or bring the repository up to date.`,
    });
  }
}

/** Without a certificate that passed, a version is copied to the app only by those who say so. */
export class UnprovenVersionError extends UserError {
  /** `problem`: of `proofProblem`. */
  constructor(version: string, problem: string) {
    super(`${version} was not copied, because nothing proves that it answers as the trained model does: ${problem}`, {
      kept: 'The app’s folder is as it was.',
      remedy: 'Make a version that has one, or say that it is to be copied all the same.',
    });
  }
}

/** What `current` names goes last. */
export class CurrentVersionError extends UserError {
  constructor(version: string) {
    super(`${version} is the current version, so it was not removed.`, {
      kept: untouched,
      remedy: 'Make another version current first.',
    });
  }
}

/** A path of the settings that leads out of the folder that the user picked. */
export class OutsideFolderError extends UserError {
  constructor(path: string) {
    super(`“${path}” leads out of the folder that was picked.`, {
      kept: 'Nothing was written.',
      remedy: 'Set output.models_dir and output.ios_dir to paths inside it, such as models and ios.',
    });
  }
}
