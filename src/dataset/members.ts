import type { DataSettings } from './settings.ts';
import { assignSplits, type SplitIndices } from './split.ts';
import type { Dataset, Members, Split } from './types.ts';

/** Where an image can be in several splits, the first of these counts: what was tested with is not trained with. */
const precedence = ['test', 'val', 'train'] as const;

/** How an image is named in `Members`: the first 16 hex digits of its file's SHA-256. */
export function nameOf(hash: string): string {
  return hash.slice(0, 16);
}

/** A split by content. An image that lies in several splits of the data set is named in each of them. */
export function membersOf(dataset: Pick<Dataset, 'images'>, split: SplitIndices): Members {
  const names = (indices: readonly number[]): string[] =>
    [...new Set(indices.map((i) => nameOf(dataset.images[i]?.hash ?? '')))].sort();
  return { train: names(split.train), val: names(split.val), test: names(split.test) };
}

/**
 * Which image belongs to which split, where some of them have been used before: what `members` names keeps its split, the others
 * are drawn by `assignSplits` as if there were no more than they. `members` null: `assignSplits`.
 *
 * Of copies that `members` names in several splits, each stays where the whole data set's own draw puts it, if that is one of
 * them (so `splitWith(d, s, membersOf(d, assignSplits(d, s)))` is that very split); else Test goes before Val before
 * Train. Copies among the new images go together, by the same precedence.
 */
export function splitWith(
  dataset: Pick<Dataset, 'images' | 'classes'>,
  settings: Pick<DataSettings, 'validation_split' | 'test_split' | 'seed'>,
  members: Members | null,
): SplitIndices {
  const whole = assignSplits(dataset, settings);
  if (members === null) return whole;
  const drawn = splitOfEach(whole);
  const known = new Map<string, Split[]>();
  for (const split of precedence) {
    for (const name of members[split]) known.set(name, [...(known.get(name) ?? []), split]);
  }
  const fresh = dataset.images.flatMap(({ hash }, index) => (known.has(nameOf(hash)) ? [] : [index]));
  const images = fresh.map((index) => dataset.images[index] as Dataset['images'][number]);
  const freshMembers = membersOf({ images }, assignSplits({ images, classes: dataset.classes }, settings));
  for (const split of precedence) {
    for (const name of freshMembers[split]) if (!known.has(name)) known.set(name, [split]);
  }
  const result: Record<Split, number[]> = { train: [], val: [], test: [] };
  dataset.images.forEach(({ hash }, index) => {
    const splits = known.get(nameOf(hash)) as Split[];
    const own = drawn.get(index) as Split;
    result[splits.includes(own) ? own : (splits[0] as Split)].push(index);
  });
  return result;
}

/**
 * What a model is descended from and what it has itself, `own` being the split that `splitWith` made with `inherited`: an image that an
 * ancestor knew keeps the ancestor's split, though it be in no data set of this generation, so that no later one trains on its Test.
 */
export function withAncestors(own: Members, inherited: Members | null): Members {
  if (inherited === null) return own;
  const known = new Set(precedence.flatMap((split) => inherited[split]));
  const of = (split: Split): string[] =>
    [...inherited[split], ...own[split].filter((name) => !known.has(name))].toSorted();
  return { train: of('train'), val: of('val'), test: of('test') };
}

/** Index into `images` → its split. */
export function splitOfEach(split: SplitIndices): ReadonlyMap<number, Split> {
  return new Map(precedence.flatMap((name) => split[name].map((index) => [index, name] as const)));
}
