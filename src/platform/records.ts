import type { Dataset } from '../dataset/types.ts';
import { UserError } from '../errors.ts';
import type { WeightRecord } from '../weights/types.ts';

/**
 * What is stored outlives the page that stored it: a page meets records of older pages, and, after a host went back to an earlier one
 * or beside a tab that was opened later, of newer ones. This is the one place that looks at a record's `schema` before it is used.
 *
 * A field that older records may lack needs nothing but a word at its type. For any other change: raise `schema` in the record's
 * type, write the new number where the record is made, and append to its kind below the step that turns a record of the number before
 * into one of the new. Whoever reads gets the newest form; it is stored so when the record is written next, not before. Keep its
 * key and the keys of what belongs to it: pages that don't know the form tell by them what they must leave alone. Then keep what a
 * page stores now as a fixture (tests/fixtures/stored/README.md). Versions and checkpoints, which travel between computers, carry
 * a `schema` of their own (registry/record.ts, training/checkpoint.ts). Runs' records: runRecords.ts.
 */
export const datasetRecords = recordsOf<Dataset>('data set');
export const weightRecords = recordsOf<WeightRecord>('weights file');

/** Stored in a form that this page doesn't know: it is neither used nor changed nor deleted. */
export class StoredByNewerError extends UserError {
  /** `what`: `This run`, `1 data set and 2 runs on this computer`; `one`: whether that is a single thing. */
  constructor(what: string, one = true) {
    super(
      `${what} ${one ? 'was' : 'were'} stored by a newer version of this page, and this one cannot read ${one ? 'it' : 'them'}.`,
      {
        kept: `${one ? 'It was' : 'They were'} left as ${one ? 'it is' : 'they are'}: nothing of ${one ? 'it' : 'them'} is changed or deleted here.`,
        remedy:
          'Close other tabs of this page and reload. If this stays, the host has gone back to an earlier version: they can be used again once the newer one is back.',
      },
    );
  }
}

/** Turns a record of one schema into one of the next. */
type Step = (older: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;

export interface Records<R> {
  isNewer(stored: unknown): boolean;
  /** In the newest form; undefined where there is none. Throws `StoredByNewerError`. */
  read(stored: unknown): R | undefined;
  /** Those that this page can read, in the newest form. */
  known(stored: readonly unknown[]): R[];
  /** Before what is stored is replaced or deleted. Throws `StoredByNewerError`. */
  assertOurs(stored: unknown): void;
}

export function recordsOf<R extends { readonly schema: number }>(
  what: string,
  steps: readonly Step[] = [],
): Records<R> {
  const newest = 1 + steps.length;
  const schemaOf = (stored: unknown): unknown => (stored as { readonly schema?: unknown } | null)?.schema;
  const isNewer = (stored: unknown): boolean => {
    const schema = schemaOf(stored);
    return stored !== undefined && !(Number.isInteger(schema) && (schema as number) <= newest);
  };
  const inNewestForm = (stored: unknown): R =>
    steps
      .slice((schemaOf(stored) as number) - 1)
      .reduce((record, step) => step(record), stored as Readonly<Record<string, unknown>>) as unknown as R;
  const assertOurs = (stored: unknown): void => {
    if (isNewer(stored)) throw new StoredByNewerError(`This ${what}`);
  };
  return {
    isNewer,
    assertOurs,
    read: (stored) => {
      assertOurs(stored);
      return stored === undefined ? undefined : inNewestForm(stored);
    },
    known: (stored) => stored.filter((one) => one !== undefined && !isNewer(one)).map(inNewestForm),
  };
}
