import { describe, expect, it } from 'vitest';
import { createTurns, type Step, type Turns } from '../../../../src/engine/compiled/turns.ts';
import { random, type Random } from '../../../../src/random.ts';

/** A step's result depends on the state before it and on how many good steps came before; a bad one changes neither. */
interface Result {
  readonly bad: boolean;
  readonly value: number;
}

function after(state: number, given: number, number: number): number {
  return (state * 31 + given * 7 + number * 1009) % 1_000_003;
}

const isBad = (given: number): boolean => given % 4 === 0;

/** What a loop of one step after the other gives. */
function oneAfterTheOther(steps: readonly number[]): { results: Result[]; state: number } {
  let state = 1;
  let good = 0;
  const results = steps.map((given) => {
    if (isBad(given)) return { bad: true, value: 0 };
    state = after(state, given, ++good);
    return { bad: false, value: state };
  });
  return { results, state };
}

/** Works off what it is given in its own time, in order, and ignores steps after a bad one until it is told to go on. */
function createDevice(draw: Random) {
  let state = 1;
  let ignores = false;
  let work: Promise<unknown> = Promise.resolve();
  let good = 0;
  let sawBad = false;
  const seen = { underWay: 0, most: 0, ahead: 0 };
  const wait = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 3 * draw.uniform()));
  const submit = <T>(run: () => T): Promise<T> => {
    const done = work.then(wait).then(run);
    work = done;
    return done;
  };
  const step = (given: number, mayGoAhead = true): Step<Result> => ({
    mayGoAhead: () => mayGoAhead,
    async handOver(unread) {
      seen.most = Math.max(seen.most, ++seen.underWay);
      if (unread > 0) seen.ahead++;
      const number = good + unread + 1;
      const tellsToGoOn = sawBad && unread === 0;
      if (tellsToGoOn) sawBad = false;
      if (draw.uniform() < 0.5) await wait();
      const result = submit((): Result => {
        if (tellsToGoOn) ignores = false;
        ignores ||= isBad(given);
        if (ignores) return { bad: true, value: 0 };
        state = after(state, given, number);
        return { bad: false, value: state };
      });
      return async () => {
        const read = await result;
        seen.underWay--;
        return read;
      };
    },
    takeNote({ bad }) {
      if (bad) sawBad = true;
      else good++;
      return bad ? 'bad' : 'good';
    },
  });
  return { step, seen, read: () => submit(() => state) };
}

const unguarded = <T>(work: () => Promise<T>): Promise<T> => work();
/** What is known inside is told outside later. */
const slowly = async <T>(work: () => Promise<T>): Promise<T> => {
  const made = await work();
  await new Promise((resolve) => setTimeout(resolve, 1));
  return made;
};

describe('steps one ahead', () => {
  it.each([1, 2, 3, 4, 5, 6])('come out as one after the other, bad ones among them (%i)', async (seed) => {
    const draw = random(seed);
    const steps = Array.from({ length: 24 }, () => draw.integer(20));
    const expected = oneAfterTheOther(steps);
    const turns = createTurns(seed % 2 === 0 ? slowly : unguarded);
    const device = createDevice(draw);
    const results: Promise<Result>[] = [];
    const states: [number, Promise<number>][] = [];
    for (const [i, given] of steps.entries()) {
      const result = turns.step(device.step(given, draw.uniform() < 0.9));
      results.push(result);
      if (draw.uniform() < 0.15) states.push([i + 1, turns.alone(device.read)]);
      if (draw.uniform() < 0.15) await result;
    }
    expect(await Promise.all(results)).toEqual(expected.results);
    for (const [made, state] of states) expect(await state).toBe(oneAfterTheOther(steps.slice(0, made)).state);
    expect(await turns.alone(device.read)).toBe(expected.state);
    // On a busy processor a result may be read before the next step begins, and be taken note of after.
    expect(device.seen.most).toBeLessThanOrEqual(2);
    expect(device.seen.ahead).toBeGreaterThan(0);
  });

  it('where the device does not take one ahead, it gets none', async () => {
    const turns = createTurns(unguarded);
    const device = createDevice(random(1));
    const steps = [1, 2, 4, 5, 6];
    const results = steps.map((given) => turns.step(device.step(given, false)));
    expect(await Promise.all(results)).toEqual(oneAfterTheOther(steps).results);
    expect(device.seen).toEqual({ underWay: 0, most: 1, ahead: 0 });
  });

  it('a step that could not be handed over is refused alone', async () => {
    const turns = createTurns(unguarded);
    const device = createDevice(random(1));
    const refused: Step<Result> = { ...device.step(1), handOver: () => Promise.reject(new Error('no room')) };
    const results = [turns.step(device.step(1)), turns.step(refused), turns.step(device.step(2))];
    const settled = await Promise.allSettled(results);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await turns.alone(device.read)).toBe(oneAfterTheOther([1, 2]).state);
  });
});

describe('what ends them', () => {
  it('a failing device rejects every step under way, and what comes later', async () => {
    let fail: (error: Error) => void = () => {};
    const failure = new Promise<never>((_, reject) => (fail = reject));
    failure.catch(() => {});
    const turns = createTurns((work) => Promise.race([work(), failure]));
    const never: Step<Result> = {
      mayGoAhead: () => true,
      handOver: () => Promise.resolve(() => new Promise(() => {})),
      takeNote: () => 'good',
    };
    const results = [turns.step(never), turns.step(never), turns.step(never), turns.alone(() => Promise.resolve(0))];
    await new Promise((resolve) => setTimeout(resolve, 5));
    fail(new Error('gone'));
    const settled = await Promise.allSettled(results);
    expect(settled).toMatchObject(results.map(() => ({ status: 'rejected', reason: { message: 'gone' } })));
  });

  it('closing lets finish what was handed over, and refuses the rest', async () => {
    const turns: Turns = createTurns(unguarded);
    const device = createDevice(random(1));
    const first = turns.step(device.step(1));
    const second = turns.step(device.step(2));
    // Both are with the device by then.
    while (device.seen.underWay < 2) await new Promise((resolve) => setTimeout(resolve, 0));
    const third = turns.step(device.step(3));
    third.catch(() => {});
    let stateWhenClosed: Promise<number>;
    const closed = new Promise<void>((resolve) => {
      turns.close(() => {
        stateWhenClosed = device.read();
        resolve();
      });
    });
    await closed;
    expect(await stateWhenClosed!).toBe((await second).value);
    expect((await first).bad).toBe(false);
    await expect(third).rejects.toThrow('disposed');
    await expect(turns.alone(device.read)).rejects.toThrow('disposed');
  });
});
