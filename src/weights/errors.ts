import { UserError } from '../errors.ts';

const nothingChanged = 'Nothing was changed: the weights in use before are still in use.';

/** The bytes are not a whole, well-formed safetensors file. */
export class NotSafetensorsError extends UserError {
  constructor(reason: string) {
    super(`This is not a usable safetensors file: ${reason}.`, {
      kept: nothingChanged,
      remedy: 'Choose a file that ends in .safetensors, and copy or download it again if it was cut short.',
    });
  }
}

/** A file of `torch.save` that can't be used: damaged, no state_dict in it, or one that only running its code would bring back. */
export class PyTorchFileError extends UserError {
  constructor(reason: string) {
    super(`This PyTorch file can't be read: ${reason}.`, {
      kept: nothingChanged,
      remedy:
        'Save the weights alone once in Python, `torch.save(model.state_dict(), "model.pt")`, and take that file; copy or ' +
        'download it again if it was cut short.',
    });
  }
}

/** More or fewer labels were given than the head in the file has rows. */
export class LabelsDoNotFitError extends UserError {
  constructor(given: number, rows: number | null) {
    super(
      rows === null
        ? 'Labels were given for weights that have no head.'
        : `${given} labels were given for a head of ${rows} rows, or one of them twice.`,
      {
        kept: nothingChanged,
        remedy:
          'Give one label for each row, in the order in which the model was trained: usually the sorted folder names.',
      },
    );
  }
}

/** Names or shapes belong to another network. */
export class WrongArchitectureError extends UserError {
  constructor(wanted: string, looksLike: string | null, details: string) {
    super(
      looksLike === null
        ? `These weights do not fit ${wanted}: ${details}.`
        : `These are weights of ${looksLike}, not of ${wanted}.`,
      {
        kept: nothingChanged,
        remedy:
          looksLike === null
            ? `Choose a file with torchvision's names for ${wanted}.`
            : `Set model.architecture to ${looksLike}, or choose a file for ${wanted}.`,
      },
    );
  }
}

/** All layers are to be trained from a file whose batch norms were folded into the convolutions. */
export class FoldedBatchNormError extends UserError {
  constructor() {
    super(
      'In this weights file the batch norms were folded away (every running mean is 0, every variance 1): ' +
        'it can predict and a new head can be trained on it, but training all layers from it falls to chance.',
      {
        kept: nothingChanged,
        remedy: 'Train the head only (training.layers: head), or use a file that still has its batch-norm statistics.',
      },
    );
  }
}

/** A downloaded file isn't the one that was meant. */
export class ChecksumError extends UserError {
  constructor(url: string, expected: string, found: string) {
    super(`The weights from ${url} are not the expected ones: SHA-256 ${found}, expected ${expected}.`, {
      kept: 'The download was thrown away; what was stored before is untouched.',
      remedy: 'Try again on another network; if it happens again, the file was changed: drop a file that you trust.',
    });
  }
}

/** Pretrained weights are neither stored here nor to be had from the network. */
export class WeightsUnavailableError extends UserError {
  constructor(architecture: string, attempts: readonly string[], cause?: unknown) {
    super(
      `No pretrained weights for ${architecture} could be had` +
        (attempts.length === 0 ? ': no address is known for them.' : ` (${attempts.join('; ')}).`),
      {
        kept: 'Nothing was changed.',
        remedy:
          `Drop a .safetensors file with torchvision's names for ${architecture}, ` +
          'connect to the internet and try again, or train from a random initialisation (model.pretrained: false).',
        cause,
      },
    );
  }
}

/** The user ended the download. */
export class DownloadCancelledError extends UserError {
  constructor(what: string) {
    super(`The download of ${what} was cancelled.`, {
      kept: 'Nothing was changed; the part that had arrived was thrown away.',
      remedy: 'Start it again when you like.',
    });
  }
}
