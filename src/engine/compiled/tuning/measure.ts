import type { Commands } from '../device/commands.ts';
import { quickest, stillIn, WORTHWHILE, type Round } from './choice.ts';
import type { CutName } from './cuts.ts';
import { createStopwatch, MOST_SPANS, type Span, type Stopwatch } from './stopwatch.ts';

/** One class's candidates, ready to run: the default first, whose name is null. */
export interface Ready {
  readonly key: string;
  /** Operations of the one call that is measured. */
  readonly flops: number;
  readonly candidates: readonly { readonly name: CutName | null; readonly commands: Commands }[];
}

export interface Measuring {
  /** ms; no group begins after it. */
  readonly budget: number;
  readonly signal: AbortSignal;
  /** Hears how many classes were measured, of all. */
  readonly tell: (done: number, total: number) => void;
}

/** A GPU's clock climbs for a while once there is work, ms. */
const WARM_UP = 80;
const ROUNDS = 5;
/** Of fewer rounds nothing is concluded. */
const LEAST_ROUNDS = 2;
/** What is measured together, at most. */
const GROUP = 8;
/** ms of one round of a group, roughly. */
const GROUP_ROUND = 150;
/** ms of a span; and in what the stopwatch tells apart, so that 5 % is more than its rounding. */
const SPAN = { least: 0.3, most: 4, resolutions: 20 };
const MOST_REPEATS = 400;
/** Repeats of the first look at how long a call takes. */
const ESTIMATE = 2;
/** Share of the budget that rounds are planned to take, and how many of them before most candidates are out. */
const PLANNED = { share: 0.8, rounds: 3 };

/**
 * The choice for each class that the time was enough for, in order. Only candidates of one class are compared, turn by turn: times of
 * different moments can't be, since a GPU's clock moves by a factor.
 */
export async function measured(
  device: GPUDevice,
  all: readonly Ready[],
  { budget, signal, tell }: Measuring,
): Promise<Map<string, CutName | null>> {
  const found = new Map<string, CutName | null>();
  const [first] = all;
  if (first === undefined) return found;
  const begun = performance.now();
  const left = (): number => budget - (performance.now() - begun);
  const watch = createStopwatch(device);
  try {
    tell(0, all.length);
    /** Operations a ms, roughly. */
    const rate = await warmUp(watch, first, signal);
    const spans = all.reduce((sum, { candidates }) => sum + candidates.length, 0) * PLANNED.rounds;
    const planned = Math.min(SPAN.most, (PLANNED.share * budget) / spans);
    const span = Math.max(SPAN.least, SPAN.resolutions * watch.resolution, planned);
    const roundOf = ({ candidates, flops }: Ready): number => candidates.length * Math.max(span, flops / rate);
    for (let next = 0; next < all.length && left() > 0 && !signal.aborted;) {
      const group: Ready[] = [];
      for (let sum = 0; group.length < GROUP && next < all.length; next++) {
        const one = all[next]!;
        sum += roundOf(one);
        if (group.length > 0 && sum > GROUP_ROUND) break;
        // What would take all of the time, and more, is left as it is.
        if (LEAST_ROUNDS * roundOf(one) <= left()) group.push(one);
      }
      for (const [key, name] of await measureGroup(watch, group, span, left, signal)) found.set(key, name);
      tell(next, all.length);
    }
    return found;
  } finally {
    watch.dispose();
  }
}

/** Until the device has worked for a while; operations a ms at the end. */
async function warmUp(watch: Stopwatch, { candidates, flops }: Ready, signal: AbortSignal): Promise<number> {
  const { commands } = candidates[0]!;
  const begun = performance.now();
  for (let repeats = 1; ;) {
    const from = performance.now();
    await watch.times([{ commands: commands.list, repeats, expected: 0 }]);
    const took = Math.max(1e-3, performance.now() - from);
    if (performance.now() - begun > WARM_UP || signal.aborted) return (repeats * flops) / took;
    if (took < WARM_UP / 4) repeats = Math.min(MOST_REPEATS, 2 * repeats);
  }
}

async function measureGroup(
  watch: Stopwatch,
  group: readonly Ready[],
  span: number,
  left: () => number,
  signal: AbortSignal,
): Promise<Map<string, CutName | null>> {
  const spanOf = ({ commands }: Ready['candidates'][number], repeats: number, expected = span): Span => ({
    commands: commands.list,
    repeats,
    expected,
  });
  // Each once: a first run may compile, and fills caches. Then how long the default takes.
  const first = group.map(({ candidates }) => [
    ...candidates.map((one) => spanOf(one, 1)),
    spanOf(candidates[0]!, ESTIMATE),
  ]);
  const firstTimes = await timesOf(watch, first.flat());
  let seen = 0;
  const contests = group.map((ready, i) => ({
    ready,
    single: firstTimes[(seen += first[i]!.length) - 1]! / ESTIMATE,
    rounds: [] as Round[],
    isIn: ready.candidates.map(() => true),
  }));
  for (let round = 0; round < ROUNDS; round++) {
    if (signal.aborted || (round >= LEAST_ROUNDS && left() < 0)) break;
    const open = contests
      .filter(({ isIn }) => isIn.filter(Boolean).length > 1)
      .map((contest) => ({ contest, repeats: repeatsFor(contest.single, span) }));
    const spans = open.flatMap(({ contest: { ready, single, isIn }, repeats }) =>
      ready.candidates.flatMap((one, i) => (isIn[i] ? [spanOf(one, repeats, repeats * single)] : [])),
    );
    const times = (await timesOf(watch, spans))[Symbol.iterator]();
    for (const { contest, repeats } of open) {
      const { rounds, isIn } = contest;
      rounds.push(isIn.map((one) => (one ? (times.next().value as number) : NaN)));
      contest.isIn = stillIn(rounds);
      contest.single = rounds.at(-1)![0]! / repeats;
    }
  }
  const found = new Map<string, CutName | null>();
  for (const { ready, rounds } of contests) {
    const enough = rounds.length >= LEAST_ROUNDS || (rounds.length > 0 && stillIn(rounds).filter(Boolean).length === 1);
    if (!enough && ready.candidates.length > 1) continue;
    const shortest = Math.min(...rounds.map((round) => round[0]!));
    const margin = Math.max(WORTHWHILE, watch.resolution / shortest);
    found.set(ready.key, ready.candidates[quickest(rounds, margin)]!.name);
  }
  return found;
}

function repeatsFor(single: number, span: number): number {
  return single > 0 ? Math.max(1, Math.min(MOST_REPEATS, Math.round(span / single))) : MOST_REPEATS;
}

async function timesOf(watch: Stopwatch, spans: readonly Span[]): Promise<number[]> {
  const times: number[] = [];
  for (let at = 0; at < spans.length; at += MOST_SPANS)
    times.push(...(await watch.times(spans.slice(at, at + MOST_SPANS))));
  return times;
}
