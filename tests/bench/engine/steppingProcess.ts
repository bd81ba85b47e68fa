import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { createInterface } from 'node:readline';

/** The other side of a comparison: a program that makes a step for each line of its standard input, and answers with a line. */
export interface SteppingProcess {
  /** Its next line; null once it has ended, or where it could not be started. */
  line(): Promise<string | null>;
  /** What it says of one more step. */
  step(): Promise<string>;
  close(): void;
}

export function steppingProcess(
  command: string,
  args: readonly string[],
  errors: 'inherit' | 'ignore',
): SteppingProcess {
  const stdio: StdioOptions = ['pipe', 'pipe', errors];
  const child: ChildProcess = spawn(command, args, { stdio });
  // Either is followed by the end of its lines.
  child.on('error', () => undefined);
  child.stdin!.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const line = async (): Promise<string | null> => {
    const next = await lines.next();
    return next.done ? null : next.value;
  };
  return {
    line,
    async step() {
      child.stdin!.write('\n');
      const answer = await line();
      if (answer === null) throw new Error(`${command} ended before its step.`);
      return answer;
    },
    close: () => child.stdin!.end(),
  };
}
