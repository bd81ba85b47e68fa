import { UserError } from '../../errors.ts';

/** Images are there that this command did not put there, or of another data set. */
export class ExistingDataError extends UserError {
  constructor(what: string) {
    super(`${what}, and is not replaced unasked.`, {
      kept: 'It is as it was; nothing was fetched over it.',
      remedy:
        'Train from it as it is, set data.raw_dir, data.train_dir and data.test_dir to other folders, or replace it with --force.',
    });
  }
}

/** The zip's own table of contents or checksums do not fit what is in it. */
export class DamagedZipError extends UserError {
  constructor(zip: string, what: string, cause: unknown) {
    super(`${zip} is damaged: ${what}.`, {
      kept: 'The zip is still there; nothing of it was laid out, and what was there before is unchanged.',
      remedy: 'Fetch it again: the same command with --force.',
      cause,
    });
  }
}

export class NoImagesInZipError extends UserError {
  constructor(zip: string) {
    super(`${zip} holds no images in folders, neither Train/<class>/… nor <class>/….`, {
      kept: 'The zip is still there; nothing of it was laid out.',
      remedy: 'See whether data.kaggle_dataset names the data set that you mean.',
    });
  }
}

export class LayOutStoppedError extends UserError {
  constructor(zip: string) {
    super('Unpacking was stopped.', {
      kept: `The whole zip, ${zip}. What was there before is unchanged.`,
      remedy: 'Run the same command again: nothing is fetched twice.',
    });
  }
}
