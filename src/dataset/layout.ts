import type { Dataset, SkippedFile, Split } from './types.ts';

/** Where a file belongs by its path. `index`: into the paths given. */
export interface Placed {
  readonly index: number;
  readonly path: string;
  readonly className: string;
  readonly given: Split | null;
}

export interface Layout {
  readonly layout: Dataset['layout'];
  /** By class in code-point order, then by path. */
  readonly placed: readonly Placed[];
  readonly skipped: readonly SkippedFile[];
}

const splitNames: Readonly<Record<string, Split>> = {
  train: 'train',
  training: 'train',
  val: 'val',
  valid: 'val',
  validation: 'val',
  test: 'test',
  testing: 'test',
};
const imageName = /\.(jpe?g|jfif|png|webp|bmp|gif|tiff?|dcm|heic|avif)$/i;

/** What operating systems leave behind: never listed, as nobody put it there. */
function isLitter(parts: readonly string[]): boolean {
  return parts.some(
    (part) => part === '__MACOSX' || part.startsWith('.') || /^(thumbs\.db|desktop\.ini|icon\r)$/i.test(part),
  );
}

/** By code points, as Python sorts strings and so torchvision its classes; JavaScript's `<` compares UTF-16 units. */
export function byCodePoint(a: string, b: string): number {
  const left = Array.from(a);
  const right = Array.from(b);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

interface Candidate {
  readonly index: number;
  readonly path: string;
  /** Folders, without the file's name. */
  readonly folders: readonly string[];
}

/**
 * Finds the ImageFolder layout in a list of paths: `Train/<class>/…`, `Test/<class>/…`, optionally `Val/`, `Valid/` or
 * `Validation/`, in any letter case and at any depth; else a flat `<class>/*`. As in torchvision, all that lies below a class's
 * folder belongs to the class. Where several folders qualify, the one that holds the most files is the data set. Names decide
 * nothing about what is an image, except that a stray text file does not decide where the data set lies. `trainNeeded`: whether
 * a Test or Val folder makes a layout only beside a Train folder.
 */
export function findLayout(paths: readonly string[], { trainNeeded } = { trainNeeded: true }): Layout {
  const all: Candidate[] = [];
  paths.forEach((path, index) => {
    const parts = path.split('/').filter((part) => part !== '' && part !== '.');
    if (parts.length > 0 && !isLitter(parts)) all.push({ index, path, folders: parts.slice(0, -1) });
  });
  const images = all.filter(({ path }) => imageName.test(path));
  return bySplits(all, trainNeeded) ?? flat(all, images.length > 0 ? images : all);
}

/** Position of the first folder named as a split; −1: none. */
function splitAt(folders: readonly string[]): number {
  return folders.findIndex((folder) => splitNames[folder.toLowerCase()] !== undefined);
}

function bySplits(all: readonly Candidate[], trainNeeded: boolean): Layout | null {
  const roots = all.map(({ folders }) => {
    const at = splitAt(folders);
    return at >= 0 && at + 1 < folders.length ? folders.slice(0, at).join('/') : null;
  });
  // Only a root with a Train folder can be trained from.
  const possible = trainNeeded ? roots.filter((_, i) => splitOf(all[i]) === 'train') : roots;
  const root = mostFrequent(possible.filter((name) => name !== null));
  if (root === null) return null;
  return collect('splits', all, (candidate, i) => {
    const at = splitAt(candidate.folders);
    if (roots[i] === root) return { className: candidate.folders[at + 1] as string, given: splitOf(candidate) };
    if (roots[i] === null && at >= 0) return 'not in a class’s folder';
    return 'outside the Train and Test folders';
  });
}

function splitOf(candidate: Candidate | undefined): Split | null {
  const folder = candidate?.folders[splitAt(candidate.folders)];
  return folder === undefined ? null : (splitNames[folder.toLowerCase()] ?? null);
}

function flat(all: readonly Candidate[], images: readonly Candidate[]): Layout {
  const roots = images.filter(({ folders }) => folders.length > 0).map(({ folders }) => folders.slice(0, -1).join('/'));
  const root = mostFrequent(roots) ?? '';
  const depth = root === '' ? 0 : root.split('/').length;
  return collect('flat', all, ({ folders }) => {
    if (folders.slice(0, depth).join('/') !== root) return 'outside the data set’s folder';
    if (folders.length <= depth) return 'not in a class’s folder';
    return { className: folders[depth] as string, given: null };
  });
}

function collect(
  layout: Dataset['layout'],
  all: readonly Candidate[],
  place: (candidate: Candidate, i: number) => { className: string; given: Split | null } | string,
): Layout {
  const placed: Placed[] = [];
  const skipped: SkippedFile[] = [];
  all.forEach((candidate, i) => {
    const where = place(candidate, i);
    const { index, path } = candidate;
    if (typeof where === 'string') skipped.push({ path, reason: where });
    else placed.push({ index, path, className: where.className.normalize('NFC'), given: where.given });
  });
  placed.sort((a, b) => byCodePoint(a.className, b.className) || byCodePoint(a.path, b.path));
  return { layout, placed, skipped };
}

/** Ties go to the shorter path, then to the first in order. */
function mostFrequent(names: readonly string[]): string | null {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const ranked = [...counts].sort(([a, m], [b, n]) => n - m || a.length - b.length || byCodePoint(a, b));
  return ranked[0]?.[0] ?? null;
}
