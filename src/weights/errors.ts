import { UserError } from '../errors.ts';
import { misfitInWords, type Misfit } from './misfit.ts';

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
  constructor(
    wanted: string,
    found: {
      /** The network that the file fits; null: none. */
      readonly is: string | null;
      /** How it differs from the wanted one. */
      readonly misfit: Misfit;
      /** The one of which it has the largest share; undefined where it has nothing of any. */
      readonly nearest?: (Pick<Misfit, 'fitting' | 'wanted'> & { readonly architecture: string }) | undefined;
    },
  ) {
    const { is, misfit, nearest } = found;
    const likeness =
      nearest === undefined
        ? 'Not one of its tensors belongs to a network that this app knows.'
        : `It looks most like ${nearest.architecture}: ${nearest.fitting} of its ${nearest.wanted} tensors are there.`;
    super(
      is === null
        ? `These weights do not fit ${wanted}: ${misfitInWords(misfit)}. ${likeness}`
        : `These are weights of ${is}, not of ${wanted}.`,
      {
        kept: nothingChanged,
        remedy:
          is === null
            ? `Choose a file for ${wanted} with torchvision's or timm's names.`
            : `Set model.architecture to ${is}, or choose a file for ${wanted}.`,
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

/** A downloaded file isn't the one that was meant. `expected`: its SHA-256, or how that begins. */
export class ChecksumError extends UserError {
  constructor(url: string, expected: string, found: string) {
    const begins = expected.length < found.length ? 'one that begins with ' : '';
    super(`The weights from ${url} are not the expected ones: SHA-256 ${found}, expected ${begins}${expected}.`, {
      kept: 'The download was thrown away; what was stored before is untouched.',
      remedy: 'Try again on another network; if it happens again, the file was changed: drop a file that you trust.',
    });
  }
}

/**
 * A file from this computer is named as torchvision names its own, `NAME-xxxxxxxx.pth` with the first digits of the SHA-256, and has
 * another one. `url`: where the file of this name lies.
 */
export class ChecksumInNameError extends UserError {
  constructor(name: string, digits: string, found: string, url: string) {
    super(
      `“${name}” is not the file that its name speaks of: its SHA-256 begins with ${found.slice(0, digits.length)}, and a name that ` +
        `ends in -${digits}.pth says ${digits}.`,
      {
        kept: nothingChanged,
        remedy:
          `Download it again, from ${url}: it was damaged or changed on its way. If the file was changed on purpose, ` +
          'give it a name without them: it is then taken unverified.',
      },
    );
  }
}

/** Pretrained weights are neither stored here nor to be had from the network. */
export class WeightsUnavailableError extends UserError {
  constructor(
    architecture: string,
    attempts: readonly string[],
    more: {
      /** A file that the user can download by hand and drop. */
      readonly byHand?: string | undefined;
      /** Whether a part of a download waits for the next try. */
      readonly begun?: boolean;
      readonly cause?: unknown;
    } = {},
  ) {
    const { byHand, begun = false, cause } = more;
    super(
      `No pretrained weights for ${architecture} could be had` +
        (attempts.length === 0 ? ': no address is known for them.' : ` (${attempts.join('; ')}).`),
      {
        kept: begun
          ? 'Nothing was changed. What had arrived is kept until the page is closed: another start goes on from there.'
          : 'Nothing was changed.',
        remedy:
          (byHand === undefined ? '' : `Download ${byHand} in a tab of its own and drop it here; or drop `) +
          (byHand === undefined ? 'Drop a' : 'another') +
          ` .safetensors or .pth file with torchvision's or timm's names for ${architecture}, ` +
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
