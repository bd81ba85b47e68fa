/**
 * Failures that a user can meet. Each room subclasses `UserError` with a name of its own; the message says what
 * happened, `kept` what was not lost, `remedy` what to do. A leaf: every room may import it, it imports nothing.
 */
export interface ErrorReport {
  /** Class name, stable: tests and the page look it up (`EncryptedArchiveError`). */
  readonly name: string;
  readonly message: string;
  readonly kept: string;
  readonly remedy: string;
}

export class UserError extends Error {
  readonly kept: string;
  readonly remedy: string;

  constructor(message: string, details: { kept: string; remedy: string; cause?: unknown }) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.kept = details.kept;
    this.remedy = details.remedy;
  }
}

/** What crosses a worker boundary in place of an Error (structured clone drops subclass fields). */
export function reportOf(error: unknown): ErrorReport {
  if (error instanceof UserError) {
    return { name: error.name, message: error.message, kept: error.kept, remedy: error.remedy };
  }
  const message = error instanceof Error ? error.message : String(error);
  return {
    name: 'UnexpectedError',
    message,
    kept: 'Everything stored on this computer so far is still there.',
    remedy: 'Reload the page and try again; if it happens again, please report it with this text.',
  };
}
