/** Probability of each maker: the sum over its models. Classes are named `MAKER - Model`; empty where they are not. */
export function makerSums(
  classes: readonly { readonly label: string; readonly probability: number }[],
): { readonly maker: string; readonly probability: number; readonly models: number }[] {
  const sums = new Map<string, { probability: number; models: number }>();
  for (const { label, probability } of classes) {
    const end = label.indexOf(' - ');
    if (end < 1) return [];
    const maker = label.slice(0, end);
    const sum = sums.get(maker) ?? { probability: 0, models: 0 };
    sums.set(maker, { probability: sum.probability + probability, models: sum.models + 1 });
  }
  return [...sums].map(([maker, sum]) => ({ maker, ...sum })).sort((a, b) => b.probability - a.probability);
}
