import { UserError } from '../../../errors.ts';

/** `jamesphoward/pacemakers` → the page where its rules are accepted and its zip is had by hand. */
export const datasetPage = (dataset: string): string => `https://www.kaggle.com/datasets/${dataset}`;

const nothing = 'Nothing was fetched; what was on the disk before is unchanged.';

const steps = [
  '1. Sign in at https://www.kaggle.com/settings/api and press “Create Legacy API Key”: it downloads kaggle.json.',
  '2. Move it to ~/.kaggle/kaggle.json (or into the folder that KAGGLE_CONFIG_DIR names).',
  '3. Run chmod 600 ~/.kaggle/kaggle.json',
  'Instead of the file: set KAGGLE_USERNAME and KAGGLE_KEY, or KAGGLE_API_TOKEN with a token that begins with KGAT_.',
].join('\n');

export class KaggleCredentialsMissingError extends UserError {
  constructor(looked: readonly string[]) {
    super(`There are no credentials for Kaggle; looked in ${looked.join(', ')}.`, { kept: nothing, remedy: steps });
  }
}

export class KaggleCredentialsUnreadableError extends UserError {
  constructor(source: string, reason: string, cause?: unknown) {
    super(`The credentials in ${source} cannot be used: ${reason}.`, { kept: nothing, remedy: steps, cause });
  }
}

export class KaggleCredentialsRejectedError extends UserError {
  constructor(source: string, kept: string) {
    super(`Kaggle does not accept the credentials from ${source}: the key is wrong, or it has expired.`, {
      kept,
      remedy: `Make a new one, which ends the old:\n${steps}`,
    });
  }
}

export class KaggleEndpointError extends UserError {
  constructor(endpoint: string) {
    super(`KAGGLE_API_ENDPOINT is “${endpoint}”, which is no https address.`, {
      kept: nothing,
      remedy: 'Unset it for www.kaggle.com, or give an https address; http is for this computer alone.',
    });
  }
}

export class KaggleRulesNotAcceptedError extends UserError {
  constructor(dataset: string, said: string, kept: string) {
    super(`Kaggle wants the rules of ${dataset} accepted first${said === '' ? '' : `; it says: ${said}`}`, {
      kept,
      remedy: `Open ${datasetPage(dataset)} signed in as the same user, press Download and accept what it asks; then run the same command again.`,
    });
  }
}

export class KaggleForbiddenError extends UserError {
  constructor(dataset: string, said: string, kept: string) {
    super(`Kaggle does not let this user have ${dataset}${said === '' ? '.' : `; it says: ${said}`}`, {
      kept,
      remedy: `Open ${datasetPage(dataset)} signed in as the same user. If it is not there, it is private or data.kaggle_dataset is misspelt; if it asks for consent, give it; then run the same command again.`,
    });
  }
}

export class KaggleDatasetNotFoundError extends UserError {
  constructor(dataset: string, kept: string) {
    super(`Kaggle has no data set ${dataset}.`, {
      kept,
      remedy: `Set data.kaggle_dataset to owner/name as they stand in its address, ${datasetPage('owner/name')}.`,
    });
  }
}

export class KaggleRateLimitError extends UserError {
  constructor(seconds: number | null, kept: string) {
    super(
      seconds === null
        ? 'Kaggle has answered “too many requests” again and again.'
        : `Kaggle has had too many requests from this user and asks to wait ${Math.ceil(seconds)} s, longer than this command waits.`,
      { kept, remedy: 'Run the same command again later: it goes on where it stopped.' },
    );
  }
}

export class KaggleUnreachableError extends UserError {
  constructor(host: string, reason: string, tries: number, kept: string, cause?: unknown) {
    super(`The connection to ${host} failed ${tries} times in a row without a byte: ${reason}.`, {
      kept,
      remedy:
        'Check the network (proxy, firewall) and run the same command again: it goes on where it stopped. Or fetch the zip with a browser.',
      cause,
    });
  }
}

/** An answer that Kaggle's public client does not know either. */
export class KaggleAnswerError extends UserError {
  constructor(what: string, kept: string) {
    super(what, {
      kept,
      remedy:
        'Run the same command again in some minutes. If it happens again, fetch the zip with a browser and report this text.',
    });
  }
}

export class NoRoomForDownloadError extends UserError {
  constructor(path: string, needed: string, free: string, kept: string, cause?: unknown) {
    super(`The disk is full: ${path} needs ${needed}, ${free} are free.`, {
      kept,
      remedy:
        'Free that much space, or set data.raw_dir to a folder on another disk; the same command then goes on where it stopped.',
      cause,
    });
  }
}

export class DownloadSizeError extends UserError {
  constructor(path: string, got: string, expected: string) {
    super(`${path} came out at ${got}, but Kaggle announced ${expected}.`, {
      kept: 'The wrong file was removed; what was on the disk before is unchanged.',
      remedy: 'Run the same command again: it starts from the beginning.',
    });
  }
}

export class DownloadDamagedError extends UserError {
  constructor(path: string) {
    super(`${path} has the right size, but not the MD5 checksum that Kaggle's storage gives for it.`, {
      kept: 'The damaged file was removed; what was on the disk before is unchanged.',
      remedy: 'Run the same command again: it starts from the beginning.',
    });
  }
}

export class DownloadNotAZipError extends UserError {
  constructor(host: string, type: string | null, kept: string) {
    const what = type?.startsWith('text/html') ? 'a web page' : (type ?? 'something of no stated kind');
    super(`${host} sent ${what} in place of a zip.`, {
      kept,
      remedy:
        'A proxy or a sign-in page of the network may stand in between: open the data set’s page in a browser, fetch the zip there, or try from another network.',
    });
  }
}

/** Ctrl-C, or the system's wish that the process ends. */
export class DownloadStoppedError extends UserError {
  constructor(kept: string) {
    super('The download was stopped.', { kept, remedy: 'Run the same command again: it goes on where it stopped.' });
  }
}
