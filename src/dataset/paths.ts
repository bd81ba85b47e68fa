import type { Split } from './types.ts';

export const folderOf = { train: 'Train', val: 'Val', test: 'Test' } as const satisfies Record<Split, string>;

/**
 * `Train|Val|Test/<class>/<file name>` for each image (`<class>/<file name>` without a split), in the order given. Where a name is
 * taken, letter case aside (not every disk tells `a.jpg` from `A.jpg`), it becomes `name-2.jpg` and so on.
 */
export function canonicalPaths(
  images: readonly { readonly path: string; readonly className: string; readonly given: Split | null }[],
): string[] {
  const used = new Set<string>();
  return images.map(({ path, className, given }) => {
    const folder = given === null ? className : `${folderOf[given]}/${className}`;
    const name = path.slice(path.lastIndexOf('/') + 1);
    const dot = name.lastIndexOf('.');
    const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
    let free = `${folder}/${name}`;
    for (let n = 2; used.has(free.toLowerCase()); n++) free = `${folder}/${stem}-${n}${extension}`;
    used.add(free.toLowerCase());
    return free;
  });
}
