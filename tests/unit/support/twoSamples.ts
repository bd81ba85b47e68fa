/** Two-sample tests of distributions; each answers how far the samples are apart, as a share of what chance gives one time in 1,000. */

/** Kolmogorov–Smirnov: how many of m and of n draws are not above each of some values. */
export function kolmogorovSmirnov(ours: readonly number[], theirs: readonly number[], m: number, n: number): number {
  const largest = Math.max(...ours.map((count, i) => Math.abs(count / m - theirs[i]! / n)));
  return largest / Math.sqrt((-Math.log(0.001 / 2) / 2) * (1 / m + 1 / n));
}

/** Chi-square of two histograms over the same cells. */
export function chiSquare(ours: readonly number[], theirs: readonly number[]): number {
  const [m, n] = [ours, theirs].map((counts) => counts.reduce((a, b) => a + b, 0)) as [number, number];
  let sum = 0;
  let cells = 0;
  ours.forEach((a, i) => {
    const b = theirs[i]!;
    if (a + b === 0) return;
    cells++;
    sum += (Math.sqrt(n / m) * a - Math.sqrt(m / n) * b) ** 2 / (a + b);
  });
  // Wilson and Hilferty's approximation of the quantile; 3.0902 standard deviations leave one in 1,000 above.
  const freedom = Math.max(1, cells - 1);
  const limit = freedom * (1 - 2 / (9 * freedom) + 3.0902 * Math.sqrt(2 / (9 * freedom))) ** 3;
  return sum / limit;
}
