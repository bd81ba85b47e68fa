/** Runs `work` on up to `width` items at a time and yields the results in the items' order. */
export async function* inOrder<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<{ item: T; result: R }> {
  const running: { item: T; result: Promise<R> }[] = [];
  let next = 0;
  while (next < items.length || running.length > 0) {
    while (running.length < width && next < items.length) {
      const item = items[next++] as T;
      const result = work(item);
      // A failure is thrown when its turn comes, or is of no interest after an earlier one.
      result.catch(() => undefined);
      running.push({ item, result });
    }
    const { item, result } = running.shift() as (typeof running)[number];
    yield { item, result: await result };
  }
}
