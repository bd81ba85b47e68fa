import { UserError } from '../errors.ts';

const untouched = 'Nothing was stored; the data sets that were here before are untouched.';

export class NotAZipError extends UserError {
  constructor(name: string, cause?: unknown) {
    super(`“${name}” is not a zip archive, whatever its name says.`, {
      kept: untouched,
      remedy:
        'Drop a .zip file, or the folder itself. Archives of other kinds (.rar, .7z, .tar) must be unpacked first.',
      cause,
    });
  }
}

export class TruncatedZipError extends UserError {
  constructor(name: string, cause?: unknown) {
    super(`“${name}” is incomplete or damaged: its table of contents, which stands at the end, cannot be read.`, {
      kept: untouched,
      remedy: 'Download or copy the archive again; compare its size with the original.',
      cause,
    });
  }
}

export class EncryptedZipError extends UserError {
  constructor(name: string, cause?: unknown) {
    super(`“${name}” is protected by a password.`, {
      kept: untouched,
      remedy: 'Unpack it with its password and drop the folder, or zip it again without one.',
      cause,
    });
  }
}

export class UnsafePathError extends UserError {
  constructor(name: string, example: string) {
    super(`Every file in “${name}” has a path that points outside the archive, such as “${example}”.`, {
      kept: untouched,
      remedy: 'Zip the data set’s folder again, so that paths begin with the folder’s name.',
    });
  }
}

export class NoImagesError extends UserError {
  constructor(name: string, reasons: string) {
    super(`No image could be used in “${name}”.${reasons === '' ? '' : ` ${reasons}`}`, {
      kept: untouched,
      remedy:
        'Images are JPEG, PNG or WebP files in one folder a class: Train/<class>/…, Test/<class>/…, or <class>/… alone.',
    });
  }
}

export class OneClassError extends UserError {
  constructor(name: string, found: string) {
    super(`“${name}” holds one class only: “${found}”. A classifier needs at least two.`, {
      kept: untouched,
      remedy: 'Put each class’s images into a folder of its own, named as the class, side by side.',
    });
  }
}

export class NothingNewError extends UserError {
  constructor(name: string, onto: string, reasons: string) {
    super(`“${name}” brings nothing new to “${onto}”. ${reasons}`, {
      kept: untouched,
      remedy: 'Nothing needs to be added. If new images were expected, check that it is the right archive or folder.',
    });
  }
}

export class ImportCancelledError extends UserError {
  constructor() {
    super('The import was cancelled.', {
      kept: 'Nothing of it was kept; the data sets that were here before are untouched.',
      remedy: 'Drop the archive again when you want to.',
    });
  }
}

export class ImportUnderWayError extends UserError {
  constructor() {
    super('Another import is under way.', {
      kept: 'It goes on.',
      remedy: 'Wait until it has ended, or cancel it.',
    });
  }
}

export class NoSuchDatasetError extends UserError {
  constructor(id: string) {
    super(`The data set ${id} is not on this computer.`, {
      kept: 'Everything else is untouched.',
      remedy: 'It was deleted, perhaps in another tab. Import it again.',
    });
  }
}

/** `path` as the user wrote it; `wanted`: what should be there; `from`: the folder that relative paths begin in. */
export class NoSuchPathError extends UserError {
  constructor(path: string, wanted: 'folder' | 'file or folder', from: string) {
    super(`There is no ${wanted} “${path}”.`, {
      kept: untouched,
      remedy: `Check how it is written; a relative path begins in ${from}. The page’s sample needs no files: data.source: sample.`,
    });
  }
}

export class EmptyPathError extends UserError {
  constructor(path: string, what: 'file' | 'folder') {
    super(`The ${what} “${path}” is empty.`, {
      kept: untouched,
      remedy:
        'Name a zip or a folder with images in one folder a class: Train/<class>/…, Test/<class>/…, or <class>/….',
    });
  }
}

export class UnreadablePathError extends UserError {
  constructor(path: string, cause?: unknown) {
    super(`“${path}” may not be read by this user, or its links lead in a circle.`, {
      kept: untouched,
      remedy:
        'Give this user the right to read it (chmod -R u+rX on Linux and macOS), or copy it to where it may be read.',
      cause,
    });
  }
}

/** One image that cannot be decoded. `reason` is short and in the user's words: it goes into the list of skipped files. */
export class UnreadableImageError extends UserError {
  readonly reason: string;

  constructor(reason: string, cause?: unknown) {
    super(`This file cannot be read as an image: ${reason}.`, {
      kept: 'Everything else is untouched.',
      remedy: 'Use a JPEG, PNG or WebP file; if it is one, save it again with an image viewer.',
      cause,
    });
    this.reason = reason;
  }
}

/** An image of a stored data set could be decoded when it was imported, and cannot be any more. */
export class StoredImageError extends UserError {
  constructor(path: string, reason: string, cause?: unknown) {
    super(`The image “${path}” of the data set can no longer be read: ${reason}.`, {
      kept: 'The data set, runs and checkpoints are still on this computer.',
      remedy: 'Its stored copy may be damaged, or another browser imported it: import the data set again, then go on.',
      cause,
    });
  }
}
