/** Another cut takes the default's place where it is quicker by more than this share: less is noise, and the default is known to work. */
export const WORTHWHILE = 0.05;
/** After a round, whoever takes this many times the quickest is out: two rounds seldom differ so much. */
const HOPELESS = 1.3;

/** ms by candidate, the default first; NaN: it was out. */
export type Round = readonly number[];

/**
 * Times as shares of the default's in the same round, their median over the rounds: a clock that goes up and down from round to round, as a
 * GPU's does, changes nothing. Infinity for whoever has no time in the last round.
 */
export function ratiosOf(rounds: readonly Round[]): number[] {
  const last = rounds.at(-1) ?? [];
  return last.map((time, i) => {
    if (Number.isNaN(time)) return Infinity;
    const ratios = rounds.map((round) => (round[i] === round[0] ? 1 : round[i]! / round[0]!)).sort((a, b) => a - b);
    const middle = ratios.length >> 1;
    const median = ratios.length % 2 === 1 ? ratios[middle]! : (ratios[middle - 1]! + ratios[middle]!) / 2;
    return Number.isNaN(median) ? Infinity : median;
  });
}

/** Who is worth another round; the default always is. */
export function stillIn(rounds: readonly Round[]): boolean[] {
  const ratios = ratiosOf(rounds);
  const best = Math.min(...ratios);
  return ratios.map((ratio, i) => i === 0 || ratio <= HOPELESS * best);
}

/** The quickest candidate's index; 0, the default, unless another is quicker by more than `margin`, a share. */
export function quickest(rounds: readonly Round[], margin: number = WORTHWHILE): number {
  const ratios = ratiosOf(rounds);
  const best = ratios.indexOf(Math.min(...ratios));
  return best > 0 && ratios[best]! < 1 - margin ? best : 0;
}
