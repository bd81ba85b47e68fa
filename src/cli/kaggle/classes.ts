import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findLayout } from '../../dataset/layout.ts';
import type { Split } from '../../dataset/types.ts';
import { count, table } from '../words.ts';
import type { Folder } from './layOut.ts';

export interface ClassCount {
  readonly name: string;
  readonly train: number;
  readonly val: number;
  readonly test: number;
}

/** Counts what lies on the disk, as the trainer will find it: by class in code-point order. */
export async function countClasses(rawDir: string, folders: readonly Folder[]): Promise<ClassCount[]> {
  const paths: string[] = [];
  for (const folder of folders) {
    const entries = await readdir(join(rawDir, folder), { recursive: true, withFileTypes: true });
    for (const entry of entries) {
      if (entry.isFile()) paths.push(join(entry.parentPath, entry.name).slice(join(rawDir, '/').length));
    }
  }
  const counts = new Map<string, Record<Split, number>>();
  for (const { className, given } of findLayout(paths.map((path) => path.replaceAll('\\', '/'))).placed) {
    const held = counts.get(className) ?? { train: 0, val: 0, test: 0 };
    held[given ?? 'train']++;
    counts.set(className, held);
  }
  return [...counts].map(([name, held]) => ({ name, ...held }));
}

/** A line a class, and the totals. */
export function classTable(classes: readonly ClassCount[], folders: readonly Folder[]): string {
  const columns = (['Train', 'Val', 'Test'] as const).filter((folder) => folders.includes(folder));
  const key = { Train: 'train', Val: 'val', Test: 'test' } as const;
  const totals = columns.map((folder) => classes.reduce((sum, one) => sum + one[key[folder]], 0));
  const all = totals.reduce((sum, n) => sum + n, 0);
  return table([
    ['Class', ...columns],
    ...classes.map((one) => [one.name, ...columns.map((folder) => String(one[key[folder]]))]),
    [`${count(classes.length, 'class', 'classes')}, ${count(all, 'file')}`, ...totals.map(String)],
  ]).join('\n');
}
