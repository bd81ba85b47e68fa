/** A difference of two probabilities, two digits: `0.0012`, `3.1e-7`; 0 where there is none. */
export function difference(value: number): string {
  if (!Number.isFinite(value)) return 'not a number';
  const rounded = Number(value.toPrecision(2));
  return rounded === 0 || rounded >= 1e-4 ? String(rounded) : rounded.toExponential();
}

const splits: Readonly<Record<string, string>> = { test: 'Test', val: 'validation', train: 'training' };

/** Where a certificate's images are from. */
export function splitOf({ split }: { readonly split: string }): string {
  return splits[split] ?? split;
}
