import { UserError } from '../errors.ts';

/** A file that a reader can't make a model of: broken, or with something in it that the reader doesn't know. */
export class UnreadableModelError extends UserError {
  constructor(message: string, cause?: unknown) {
    super(message, {
      kept: 'The trained model and everything stored on this computer are unchanged.',
      remedy:
        'Don’t use this file. Export the model again, in another format if it happens twice, and report this text.',
      cause,
    });
  }
}

/**
 * Neither the file's fault nor the model's: memory ran out, or this program is wrong somewhere. `cause`: what it came to, whose text the
 * message has.
 */
export class ComparisonBrokenOffError extends UserError {
  constructor(cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(
      `The comparison could not be carried out, so that it is not known whether the file says what the trained model says: ${why}`,
      {
        kept: 'The trained model and everything stored on this computer are unchanged.',
        remedy:
          'Close what else takes memory and check again, with fewer images where there were many. If it happens again, report this text.',
        cause,
      },
    );
  }
}

/** An operation that can't be carried out on what it was given: shapes that don't fit, a name that nothing has. */
export class ImpossibleOperationError extends UserError {
  /** `operation`: as the file calls it. */
  constructor(operation: string, why: string) {
    super(`The operation “${operation}” of the exported model can’t be carried out: ${why}.`, {
      kept: 'The trained model and everything stored on this computer are unchanged.',
      remedy:
        'Don’t use this file. Export the model again, in another format if it happens twice, and report this text.',
    });
  }
}
