import { UserError } from '../errors.ts';

/** What an exported file would be compared on is gone. The file itself is whole. */
export class CertificateImagesMissingError extends UserError {
  constructor(dataset: string) {
    super(
      `The data set “${dataset}” that this model was trained with is not on this computer any more, so that there are no images on which the file could be compared with the trained network.`,
      {
        kept: 'The file is written, and the model is still here.',
        remedy: 'Drop the same data set again and check once more, or use the file unchecked.',
      },
    );
  }
}

/** There are images, but none of a class that the model knows. */
export class NoImagesOfItsClassesError extends UserError {
  constructor(dataset: string) {
    super(`No image of “${dataset}” is of a class that the model knows, so that there is nothing to compare it on.`, {
      kept: 'The model is still here.',
      remedy: 'Name images whose folders are called as the model’s classes are.',
    });
  }
}

/** The user didn't want it any more while it was being made. */
export class WritingCancelledError extends UserError {
  constructor() {
    super('It was cancelled before it was whole, and nothing of it was kept.', {
      kept: 'The model is still here.',
      remedy: 'Ask for it again when you want it.',
    });
  }
}

/** The user didn't want to wait for the certificate. */
export class CertificateCancelledError extends UserError {
  constructor() {
    super('The check was cancelled: it is not known whether the file says what the trained network says.', {
      kept: 'The file is written, and the model is still here.',
      remedy: 'Check again, with fewer images if it takes too long, or use the file unchecked.',
    });
  }
}
