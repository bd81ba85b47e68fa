/** One of each class, then the next of each: the first screen of a gallery shows what there is. Order within a class is kept. */
export function interleaved<T>(items: readonly T[], labelOf: (item: T) => number): T[] {
  const seen = new Map<number, number>();
  const placed = items.map((item) => {
    const label = labelOf(item);
    const round = seen.get(label) ?? 0;
    seen.set(label, round + 1);
    return { item, label, round };
  });
  return placed.sort((a, b) => a.round - b.round || a.label - b.label).map(({ item }) => item);
}
