import { folderOf } from './paths.ts';
import type { ImageEntry } from './types.ts';

/**
 * What is odd about a data set, as sentences for the page: lone images, classes that a split lacks, exact copies, copies that
 * leak from one split to another. `onlyInTest`: class names of images that were skipped because Train lacks them, repeated.
 */
export function auditImages(
  classes: readonly string[],
  images: readonly ImageEntry[],
  onlyInTest: readonly string[],
): string[] {
  const warnings: string[] = [];
  for (const className of new Set(onlyInTest)) {
    const n = onlyInTest.filter((name) => name === className).length;
    warnings.push(`Train has no image of “${className}”: ${counted(n, 'image')} of it left out.`);
  }
  classes.forEach((className, label) => {
    const own = images.filter((image) => image.label === label);
    const train = own.filter((image) => image.given === null || image.given === 'train');
    if (train.length === 1) {
      warnings.push(
        `“${className}” has one image to learn from: none is left for validation, and it will hardly be recognised.`,
      );
    }
  });
  for (const split of ['test', 'val'] as const) {
    if (!images.some((image) => image.given === split)) continue;
    const missing = classes.filter(
      (_, label) => !images.some((image) => image.given === split && image.label === label),
    );
    if (missing.length > 0) {
      warnings.push(`${folderOf[split]} has no image of ${missing.map((name) => `“${name}”`).join(', ')}.`);
    }
  }
  return [...warnings, ...copies(images)];
}

function copies(images: readonly ImageEntry[]): string[] {
  const byHash = new Map<string, ImageEntry[]>();
  for (const image of images) byHash.set(image.hash, [...(byHash.get(image.hash) ?? []), image]);
  const groups = [...byHash.values()].filter((group) => group.length > 1);
  const warnings: string[] = [];
  const extra = groups.reduce((sum, group) => sum + group.length - 1, 0);
  if (extra > 0)
    warnings.push(`${counted(extra, 'image')} ${extra === 1 ? 'is an exact copy' : 'are exact copies'} of others.`);
  const leaks = groups.filter((group) => new Set(group.map(({ given }) => given)).size > 1).length;
  if (leaks > 0) {
    warnings.push(
      `${counted(leaks, 'image')} ${leaks === 1 ? 'is' : 'are'} in more than one of Train, Val and Test: accuracy there will look better than it is.`,
    );
  }
  const torn = groups.filter((group) => new Set(group.map(({ label }) => label)).size > 1).length;
  if (torn > 0)
    warnings.push(`${counted(torn, 'image')} ${torn === 1 ? 'stands' : 'stand'} under more than one class.`);
  return warnings;
}

function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
