/** One command of the headless face: a file beside this one, and a line in main.ts. */
export interface Command {
  /** One line, for `--help`. */
  readonly summary: string;
  /** All flags with their meaning. */
  readonly usage: string;
  /** Flags in `args` are read with `node:util`'s parseArgs. Throws `UserError`; answers with the exit code. */
  run(args: readonly string[]): Promise<number>;
}
