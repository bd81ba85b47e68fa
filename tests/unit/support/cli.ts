import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

/** The repository: vitest and the long proofs both start there. */
const root = process.cwd();

export interface Ended {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

/** A line of `--json`, as it was written. */
export type JsonLine = { readonly type: string } & Readonly<Record<string, unknown>>;

/** A command of the headless face that is running, as a process of its own. */
export interface CliProcess {
  readonly pid: number;
  /** What it has written so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** All lines of JSON on its standard output so far, in order. */
  readonly events: readonly JsonLine[];
  /** Answers with the first line of either stream, past or coming, that fits; rejects if the process ends before. */
  line(fits: RegExp): Promise<string>;
  /** The `nth` (from 1) JSON line of that type that fits, past or coming; rejects if the process ends before. */
  event(type: string, nth?: number, fits?: (event: JsonLine) => boolean): Promise<JsonLine>;
  /** To the process alone, as `kill PID` does. */
  signal(name: NodeJS.Signals): void;
  /** SIGKILL to it and to whatever it started. */
  kill(): void;
  /** Resolves however it ends; rejects only after `timeout`, having killed it. */
  readonly ended: Promise<Ended>;
}

export interface CliOptions {
  /** Where relative paths of the command lead; default: the repository. */
  readonly cwd?: string;
  /** Added to this process's; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds until the process is killed and `ended` rejects; default just under three minutes. */
  readonly timeout?: number;
  /** A program that starts the process, with its own arguments in front of ours: `['strace', '-f']`. */
  readonly under?: readonly string[];
  /** Answers each piece of output as it comes. */
  readonly onOutput?: (text: string) => void;
}

/** Settings as flags of a command line. */
export function setFlags(settings: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(settings).flatMap(([path, value]) => ['--set', `${path}=${value}`]);
}

/** Starts `node scripts/cli.mjs …args`: the very command that `npm run NAME -- …` starts, without npm around it. */
export function startCli(args: readonly string[], options: CliOptions = {}): CliProcess {
  return startProcess(process.execPath, [join(root, 'scripts', 'cli.mjs'), ...args], options);
}

/** Runs it to its end, however that is. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  return startCli(args, options).ended;
}

/** Runs it; any exit code but 0 is an error that shows what it wrote. */
export async function cliOrFail(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  const ended = await runCli(args, options);
  if (ended.code !== 0) throw new Error(`${describe(args)} ${endOf(ended)}`);
  return ended;
}

/** As `startCli`, for any program. */
export function startProcess(program: string, args: readonly string[], options: CliOptions = {}): CliProcess {
  const { cwd = root, env = {}, timeout = 170_000, under = [], onOutput } = options;
  const [first = program, ...words] = [...under, program, ...args];
  const merged: NodeJS.ProcessEnv = { ...process.env, ...env };
  for (const [name, value] of Object.entries(env)) if (value === undefined) delete merged[name];
  // Vitest's own marks would change how the command prints and behaves.
  for (const name of ['VITEST', 'VITEST_MODE', 'NODE_ENV', 'FORCE_COLOR']) if (!(name in env)) delete merged[name];
  const started = performance.now();
  // A group of its own, so that `kill` reaches what it started; Windows has no groups.
  const group = process.platform !== 'win32';
  const child = spawn(first, words, { cwd, env: merged, stdio: ['ignore', 'pipe', 'pipe'], detached: group });
  living.add(child);

  let stdout = '';
  let stderr = '';
  let rest = '';
  const lines: string[] = [];
  const events: JsonLine[] = [];
  const waiting = new Set<{ try(): boolean; fail(error: Error): void }>();
  let over: Ended | null = null;

  const wake = (): void => {
    for (const one of waiting) if (one.try()) waiting.delete(one);
  };
  const takeLine = (line: string): void => {
    lines.push(line);
    const event = jsonLine(line);
    if (event !== null) events.push(event);
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    onOutput?.(text);
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) takeLine(line);
    wake();
  });
  let restOfErrors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onOutput?.(text);
    const parts = (restOfErrors + text).split('\n');
    restOfErrors = parts.pop() ?? '';
    lines.push(...parts);
    wake();
  });

  const kill = (): void => killWhole(child, group);
  const ended = new Promise<Ended>((resolve, reject) => {
    const timer = setTimeout(() => {
      kill();
      reject(new Error(`${describe(args)} did not end within ${timeout} ms\n${stdout}\n${stderr}`));
    }, timeout);
    child.on('error', reject);
    // `close`, not `exit`: the pipes are empty then.
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      living.delete(child);
      if (rest !== '') takeLine(rest);
      over = { code, signal, stdout, stderr, milliseconds: performance.now() - started };
      wake();
      for (const one of waiting) one.fail(new Error(`${describe(args)} ended before what was awaited: ${endOf(over)}`));
      waiting.clear();
      resolve(over);
    });
  });
  // Whoever never asks for the end need not hear of it.
  ended.catch(() => undefined);

  const awaited = <T>(find: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const attempt = (): boolean => {
        const found = find();
        if (found === undefined) return false;
        resolve(found);
        return true;
      };
      if (attempt()) return;
      if (over !== null) reject(new Error(`${describe(args)} ended without what was awaited: ${endOf(over)}`));
      else waiting.add({ try: attempt, fail: reject });
    });

  return {
    pid: child.pid ?? -1,
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    get events() {
      return events;
    },
    line: (fits) => awaited(() => lines.find((line) => fits.test(line))),
    event: (type, nth = 1, fits = () => true) =>
      awaited(() => events.filter((event) => event.type === type && fits(event))[nth - 1]),
    signal: (name) => child.kill(name),
    kill,
    ended,
  };
}

function jsonLine(line: string): JsonLine | null {
  if (!line.startsWith('{')) return null;
  try {
    const value = JSON.parse(line) as unknown;
    return typeof value === 'object' && value !== null && 'type' in value ? (value as JsonLine) : null;
  } catch {
    return null;
  }
}

function killWhole(child: ChildProcess, group: boolean): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    if (group) process.kill(-child.pid, 'SIGKILL');
    else child.kill('SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function describe(args: readonly string[]): string {
  return args.map((one) => one.replace(`${root}/`, '')).join(' ');
}

function endOf({ code, signal, stdout, stderr }: Ended): string {
  return `ended with ${signal ?? `exit code ${String(code)}`}\n--- stdout\n${stdout.slice(-4000)}\n--- stderr\n${stderr.slice(-4000)}`;
}

/** None outlives the test that started it. */
const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) killWhole(child, process.platform !== 'win32');
});
