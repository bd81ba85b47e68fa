/** Kills commands at seeded moments: in the middle of what they write, and anywhere between their first breath and their last. */
import { existsSync, mkdirSync, readdirSync, watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../../../src/random.ts';
import type { CliOptions, CliProcess, Ended } from '../../unit/support/cli.ts';
import { messageOf } from './wholeness.ts';

/** What is started again and again, and where it writes. */
export interface Command {
  readonly start: (options?: CliOptions) => CliProcess;
  /** Folders that it writes into; made beforehand, since only a folder that exists can be watched. */
  readonly folders: readonly string[];
}

/** A time in which something was being written: a name that had not been there came, and gave way to its final one. */
interface Writing {
  readonly began: number;
  readonly milliseconds: number;
}

/** An undisturbed run: its length and when it wrote, in order. Milliseconds since it was started. */
export interface Timeline {
  readonly total: number;
  readonly writings: readonly Writing[];
  readonly ended: Ended;
}

export type Moment =
  | { readonly kind: 'any'; readonly milliseconds: number }
  /** So long after something new has begun to be written for the `nth` time (from 0). */
  | { readonly kind: 'writing'; readonly nth: number; readonly milliseconds: number };

/** Shorter ones are stretched to this: a signal cannot be aimed more finely. */
const AIM = 3;
/** How long a name that stays counts as being written. */
const LONGEST = 100;

/** Runs it to its end and notes when it wrote. */
export async function measure(command: Command): Promise<Timeline> {
  const started = performance.now();
  const begun = new Map<string, number>();
  const writings: Writing[] = [];
  const stop = onNames(command.folders, {
    came: (path) => begun.set(path, performance.now() - started),
    went: (path) => {
      const began = begun.get(path);
      if (began !== undefined) writings.push({ began, milliseconds: performance.now() - started - began });
      begun.delete(path);
    },
  });
  const ended = await command.start().ended;
  stop();
  for (const began of begun.values()) writings.push({ began, milliseconds: NaN });
  writings.sort((a, b) => a.began - b.began);
  // A name that stays, such as a folder that is being filled: until the next one comes.
  writings.forEach((writing, i) => {
    if (!Number.isNaN(writing.milliseconds)) return;
    const next = writings[i + 1]?.began ?? ended.milliseconds;
    writings[i] = { ...writing, milliseconds: Math.min(next - writing.began, LONGEST) };
  });
  return { total: ended.milliseconds, writings, ended };
}

/**
 * One in four anywhere in the run, the others while something is written: half of them take each writing as often as the next, half
 * each the more often the longer it takes.
 */
export function drawMoment(draw: Random, { total, writings }: Timeline): Moment {
  if (writings.length === 0 || draw.uniform() < 0.25) return { kind: 'any', milliseconds: draw.between(0, total) };
  const weights = writings.map(({ milliseconds }) => Math.min(milliseconds, LONGEST));
  let nth = draw.integer(writings.length);
  if (draw.uniform() < 0.5) {
    let at = draw.between(
      0,
      weights.reduce((sum, weight) => sum + weight, 0),
    );
    nth = weights.findIndex((weight) => (at -= weight) < 0);
  }
  const writing = writings[nth] ?? writings[0]!;
  return {
    kind: 'writing',
    nth: writings.indexOf(writing),
    milliseconds: draw.between(0, Math.max(AIM, 1.2 * writing.milliseconds)),
  };
}

/** Starts it and kills it then. `killed: false`: it had ended before, as it does where the moment never comes. */
export async function killAt(command: Command, moment: Moment): Promise<{ killed: boolean; ended: Ended }> {
  let timer: NodeJS.Timeout | undefined;
  let seen = 0;
  const stop = onNames(command.folders, {
    came: () => {
      if (moment.kind === 'writing' && seen++ === moment.nth)
        timer = setTimeout(() => child.kill(), moment.milliseconds);
    },
    went: () => undefined,
  });
  const child = command.start();
  if (moment.kind === 'any') timer = setTimeout(() => child.kill(), moment.milliseconds);
  const ended = await child.ended;
  clearTimeout(timer);
  stop();
  return { killed: ended.signal === 'SIGKILL', ended };
}

/** Tells of every name that comes into one of the folders after now, once, and of its going. */
function onNames(
  folders: readonly string[],
  on: { came: (path: string) => void; went: (path: string) => void },
): () => void {
  const watchers = folders.map((folder): FSWatcher => {
    mkdirSync(folder, { recursive: true });
    const known = new Set(readdirSync(folder));
    return watch(folder, (kind, name) => {
      if (name === null || kind !== 'rename') return;
      const path = join(folder, name);
      if (!known.has(name)) {
        known.add(name);
        on.came(path);
      }
      if (!existsSync(path)) on.went(path);
    });
  });
  return () => watchers.forEach((watcher) => watcher.close());
}

/** One of the commands that are killed: what it is given anew for each round, and what must hold afterwards. */
export interface Target {
  readonly name: string;
  /** A fresh place to run in. */
  round(): Promise<Round>;
}

export interface Round {
  /** The folder that all of it happens in. */
  readonly place: string;
  readonly command: Command;
  /** After a kill: what is broken, and in a few words what was left, for the table. */
  inspect(): { readonly faults: readonly string[]; readonly left: string };
  /** After the same command came to its end: what is not as if nothing had happened. */
  compare(ended: Ended): readonly string[];
  /** Once an undisturbed round has ended: remembers what the others are compared with. */
  remember?(ended: Ended): void;
  dispose(): void;
}

export interface Outcome {
  readonly name: string;
  readonly kills: number;
  /** Rounds: each is one to three kills, and then the command left alone. */
  readonly rounds: number;
  /** Rounds whose last run ended with exit code 0 and with what an undisturbed run leaves. */
  readonly resumed: number;
  readonly faults: readonly string[];
  /** What kills left behind → how often. */
  readonly left: ReadonlyMap<string, number>;
  /** The undisturbed run. */
  readonly milliseconds: number;
}

/** So many kills of one command, at moments drawn from `draw`. */
export async function killOften(
  target: Target,
  kills: number,
  draw: Random,
  log: (text: string) => void = () => undefined,
): Promise<Outcome> {
  const first = await target.round();
  const timeline = await measure(first.command);
  const faults: string[] = [];
  if (timeline.ended.code !== 0) faults.push(`undisturbed: ${failureOf(timeline.ended)}`);
  else first.remember?.(timeline.ended);
  if (faults.length === 0) faults.push(...first.compare(timeline.ended).map((fault) => `undisturbed: ${fault}`));
  first.dispose();
  log(`${target.name}: ${timeline.total.toFixed(0)} ms undisturbed, writes ${timeline.writings.length} times`);

  const left = new Map<string, number>();
  let done = 0;
  let rounds = 0;
  let resumed = 0;
  for (let misses = 0; done < kills && misses < 3 * kills && faults.length < 10;) {
    const round = await target.round();
    const inARow = Math.min(kills - done, 1 + (draw.uniform() < 0.3 ? 1 + draw.integer(2) : 0));
    let last: Ended | null = null;
    let here = 0;
    while (here < inARow) {
      const moment = drawMoment(draw, timeline);
      const { killed, ended } = await killAt(round.command, moment);
      if (!killed) {
        last = ended;
        misses += 1;
        break;
      }
      here += 1;
      const label = `${target.name} ${done + here}, ${describe(moment)}`;
      const state = safely(() => round.inspect());
      faults.push(...state.faults.map((fault) => `${label}: ${fault}`));
      left.set(state.left, (left.get(state.left) ?? 0) + 1);
      log(`${label}: left ${state.left}${state.faults.length > 0 ? ` ✗ ${state.faults.join('; ')}` : ''}`);
    }
    // A round without a kill says nothing about kills, yet it has to end well.
    last ??= await round.command.start().ended;
    const wrong =
      last.code === 0 ? safely(() => ({ faults: round.compare(last), left: '' })).faults : [failureOf(last)];
    faults.push(...wrong.map((fault) => `${target.name} after kill ${done + here}, run again: ${fault}`));
    if (wrong.length > 0) log(`${target.name} run again ✗ ${wrong.join('; ')}`);
    done += here;
    if (here > 0) {
      rounds += 1;
      if (wrong.length === 0) resumed += 1;
    }
    round.dispose();
  }
  if (done < kills && faults.length === 0)
    faults.push(`${target.name}: only ${done} of ${kills} kills met a living process`);
  return { name: target.name, kills: done, rounds, resumed, faults, left, milliseconds: timeline.total };
}

/** What cannot even be looked at is broken. */
function safely(look: () => { readonly faults: readonly string[]; readonly left: string }) {
  try {
    return look();
  } catch (error) {
    return { faults: [messageOf(error)], left: 'unreadable' };
  }
}

function describe(moment: Moment): string {
  const at = `${moment.milliseconds.toFixed(1)} ms`;
  return moment.kind === 'any' ? `${at} after its start` : `${at} into writing ${moment.nth + 1}`;
}

function failureOf({ code, signal, stderr, stdout }: Ended): string {
  return `ended with ${signal ?? `exit code ${String(code)}`}: ${(stderr || stdout).trim().slice(-1500)}`;
}
