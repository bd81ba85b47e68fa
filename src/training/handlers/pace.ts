/** How fast steps go, and how long the rest will take. The first step (compiling, first allocations) is not counted. */
export interface Pace {
  step(seconds: number, images: number): void;
  /** One pass over the validation split took this long. The first one decodes its images; later ones find many of them in memory. */
  validation(seconds: number): void;
  readonly secondsPerStep: number;
  readonly imagesPerSecond: number;
  /** Of so many steps and one validation; null until three steps were timed. */
  epoch(steps: number): number | null;
  /** To the end of the run, which reads the Test split once; null until three steps were timed. */
  eta(stepsLeft: number, validationsLeft: number): number | null;
}

/** Steps that the mean looks back on: long enough to be steady, short enough to see the laptop slow down. */
const WINDOW = 20;

/**
 * Until a validation was timed, a forward pass is taken for a third of a step. Test images were never read before, so each costs what
 * one of the first validation pass did; or `secondsUnread`, where epochs don't go through the network: null, and there is no telling.
 */
export function createPace(images: {
  readonly val: number;
  readonly test: number;
  readonly batch: number;
  readonly secondsUnread?: number | null;
}): Pace {
  const recent: { seconds: number; images: number }[] = [];
  let seen = 0;
  let first: number | null = null;
  let latest: number | null = null;
  const mean = (): number => recent.reduce((sum, one) => sum + one.seconds, 0) / Math.max(1, recent.length);
  /** An image's forward pass. */
  const guess = (): number => mean() / images.batch / 3;
  return {
    step: (seconds, images) => {
      seen += 1;
      if (seen === 2) recent.length = 0;
      recent.push({ seconds, images });
      if (recent.length > WINDOW) recent.shift();
    },
    validation: (seconds) => {
      first ??= seconds;
      latest = seconds;
    },
    get secondsPerStep() {
      return mean();
    },
    get imagesPerSecond() {
      const images = recent.reduce((sum, one) => sum + one.images, 0);
      const seconds = recent.reduce((sum, one) => sum + one.seconds, 0);
      return seconds > 0 ? images / seconds : 0;
    },
    epoch: (steps) => (seen < 4 ? null : steps * mean() + (latest ?? guess() * images.val)),
    eta: (stepsLeft, validationsLeft) => {
      const { secondsUnread } = images;
      if (seen < 4 || (secondsUnread === null && images.test > 0)) return null;
      const test = images.test * (secondsUnread ?? (first === null ? guess() : first / images.val));
      return stepsLeft * mean() + validationsLeft * (latest ?? images.val * guess()) + test;
    },
  };
}
