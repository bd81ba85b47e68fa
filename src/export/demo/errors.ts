import { UserError } from '../../errors.ts';

const kept = 'Nothing was changed.';
const again = 'Get the zip once more from whoever made it, and compare its size with theirs.';

/** A zip, or a page's folder, without the description that a shared model has. */
export class NotAModelError extends UserError {
  constructor(name: string) {
    super(`“${name}” holds no model: there is no model/model.json of this app in it.`, {
      kept,
      remedy:
        'Open the zip that Export, “Demo page”, writes. A zip of images is a data set: drop it where there is none yet.',
    });
  }
}

/** Written by a version of the app that says things in another way, or knows more networks. */
export class ModelVersionError extends UserError {
  constructor(name: string, found: string) {
    super(`“${name}” was made by another version of this app: ${found}.`, {
      kept,
      remedy:
        'Open it with the version that made it, which is inside: unpack the zip and put the folder on a web server. Or update this page and try again.',
    });
  }
}

/** `place`: what in the description is missing or wrong. */
export class ModelUnreadableError extends UserError {
  constructor(name: string, place: string) {
    super(`The model in “${name}” can’t be read: ${place}.`, { kept, remedy: again });
  }
}

export class ModelWeightsMissingError extends UserError {
  constructor(name: string, file: string) {
    super(`“${name}” lacks the model’s weights, ${file}.`, {
      kept,
      remedy: 'The folder “model” has two files, and both are needed. Copy it again, whole.',
    });
  }
}

/** The weights are not the bytes that the description speaks of. */
export class ModelDamagedError extends UserError {
  constructor(name: string, difference: string) {
    super(`The weights in “${name}” are damaged: ${difference}.`, { kept, remedy: again });
  }
}

/** The page that models are put into is built beside the app; a file of it could not be had, or is another one. */
export class DemoPageMissingError extends UserError {
  constructor(path: string, reason: string, remedy: string, cause?: unknown) {
    super(`The demo page could not be put together: demo/${path} (${reason}).`, {
      kept: 'The model and everything else is as it was.',
      remedy,
      cause,
    });
  }
}
