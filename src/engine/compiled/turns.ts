/**
 * In what order a device gets what is asked of a network. The processor prepares a step while the device works on the one before, one step
 * ahead at most; everything else finds all steps read that were asked for before it. Free of WebGPU.
 */
export interface Turns {
  /** Once all that was asked for before is done; what is asked for later waits for it. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  /** As `alone`, but the next step is handed over while this one is under way. */
  step<T>(step: Step<T>): Promise<T>;
  /** Refuses what has not begun; `then` runs once the rest is done. */
  close(then: () => void): void;
}

export interface Step<T> {
  /** Whether the device takes it while it works on another one. Asked in its turn. */
  mayGoAhead(): boolean;
  /**
   * Gives it to the device; resolves with what waits for its result. `unread`: steps before it of which nobody has taken note, 0 or 1, now
   * and not after the next `await`; it is to be made as if they were good. After a bad step the device ignores what it is given until a
   * `handOver(0)`.
   */
  handOver(unread: number): Promise<() => Promise<T>>;
  /**
   * Once for each result, in the order of the steps. `bad`: it has changed nothing, so that a step which went ahead of its result is handed
   * over once more.
   */
  takeNote(result: T): 'good' | 'bad';
}

interface UnderWay {
  isNoted: boolean;
  /** Bad steps that were known when it was handed over. */
  bad: number;
  /** Never rejects. */
  readonly read: Promise<void>;
}

/** `guard` rejects where the device fails meanwhile. */
export function createTurns(guard: <T>(work: () => Promise<T>) => Promise<T>): Turns {
  let queue: Promise<unknown> = Promise.resolve();
  let closed = false;
  let bad = 0;
  /** The oldest first, two at most. */
  const underWay: UnderWay[] = [];

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const run = queue.then(() => {
      if (closed) throw new Error('The network has been disposed of.');
      return guard(work);
    });
    queue = run.catch(() => {});
    return run;
  };
  const allRead = async (): Promise<void> => {
    while (underWay.length > 0) await underWay[0]!.read;
  };

  const begin = async <T>(step: Step<T>): Promise<{ readonly result: Promise<T> }> => {
    // A step that went ahead of a bad one comes first: it is about to be handed over once more.
    const mustWait = (): boolean =>
      underWay.length > 1 || underWay.some((one) => one.bad !== bad) || (underWay.length > 0 && !step.mayGoAhead());
    while (mustWait()) await underWay[0]!.read;
    const before = underWay.at(-1)?.read;
    const known = bad;
    let resultOf = await step.handOver(underWay.filter(({ isNoted }) => !isNoted).length);
    const finish = async (): Promise<T> => {
      await before;
      if (own.bad !== bad) {
        await resultOf();
        resultOf = await step.handOver(0);
        own.bad = bad;
      }
      const result = await resultOf();
      own.isNoted = true;
      if (step.takeNote(result) === 'bad') own.bad = ++bad;
      return result;
    };
    const result = guard(finish);
    const forget = (): void => void underWay.splice(underWay.indexOf(own), 1);
    const own: UnderWay = { isNoted: false, bad: known, read: result.then(forget, forget) };
    underWay.push(own);
    return { result };
  };

  return {
    alone: (work) => inTurn(() => allRead().then(work)),
    // In an object: the turn ends before the result is there.
    step: (step) => inTurn(() => begin(step)).then(({ result }) => result),
    close(then) {
      closed = true;
      void queue.then(allRead).then(then);
    },
  };
}
