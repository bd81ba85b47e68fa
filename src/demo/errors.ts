import { UserError } from '../errors.ts';

/** What lies in the folder `model`, beside the page, could not be had. */
export class ModelMissingError extends UserError {
  constructor(file: string, reason: string) {
    super(`The model could not be loaded: ${file} (${reason}).`, {
      kept: 'The page itself works.',
      remedy:
        'With a network, load the page again. If you put it on this server yourself: copy the whole folder, “model” too.',
    });
  }
}

/** The part of the page that computes ended, mostly for want of memory. */
export class WorkerEndedError extends UserError {
  constructor(reason: string) {
    super(`The part of this page that runs the model has ended: ${reason}`, {
      kept: 'Nothing was lost: no picture is stored.',
      remedy: 'Close other tabs and programs, and load the page again.',
    });
  }
}

/** No backend starts, the graphics processor failed, or memory is full. */
export class CannotComputeError extends UserError {
  constructor(cause: UserError) {
    super(`This device could not run the model: ${cause.message}`, {
      kept: 'The model is still loaded.',
      remedy: 'Close other tabs and programs and try again, or open the page on another device.',
      cause,
    });
  }
}

/** A drop, or what was pasted, without any image in it. */
export class NoImageError extends UserError {
  constructor() {
    super('There was no image in what was dropped or pasted.', {
      kept: 'Nothing was read.',
      remedy: 'Choose a JPEG, PNG or WebP file.',
    });
  }
}
