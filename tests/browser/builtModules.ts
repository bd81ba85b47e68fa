import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** Words of tfjs that no minifier changes: its errors and its backends' names. */
const TENSORS = /registerKernel|tfjs-backend|tensorflow/;

/** The JavaScript of a built page, by file name, as its folder `assets` has it. */
export interface BuiltModules {
  readonly names: readonly string[];
  /** The scripts that `index.html` names. */
  readonly first: readonly string[];
  /** These and what they import, and what that imports; `lazily` also what they import later. No worker: that is no import. */
  closure(names: readonly string[], lazily: boolean): string[];
  named(part: string): string;
  /** Bytes, as a host sends it at its best. */
  gzipped(name: string): number;
  hasTensors(name: string): boolean;
}

export function builtModules(page: string): BuiltModules {
  const names = readdirSync(join(page, 'assets')).filter((name) => name.endsWith('.js'));
  const text = (name: string): string => readFileSync(join(page, 'assets', name), 'utf8');
  const imports = (name: string, lazily: boolean): string[] => {
    const found = [...text(name).matchAll(/(?:\bfrom|\bimport)\s*(\()?\s*["'`]\.\/([^"'`]+\.js)["'`]/g)];
    return found.filter(([, later]) => lazily || later === undefined).map(([, , path = '']) => path);
  };
  return {
    names,
    first: [...readFileSync(join(page, 'index.html'), 'utf8').matchAll(/src="\.\/assets\/([^"]+\.js)"/g)].map(
      ([, name = '']) => name,
    ),
    closure: (from, lazily) => {
      const reached = new Set(from);
      for (const name of reached) for (const next of imports(name, lazily)) reached.add(next);
      return [...reached];
    },
    named: (part) => {
      const [name, ...more] = names.filter((one) => one.startsWith(part));
      if (name === undefined || more.length > 0) throw new Error(`${1 + more.length} files begin with ${part}.`);
      return name;
    },
    gzipped: (name) => gzipSync(readFileSync(join(page, 'assets', name)), { level: 9 }).length,
    hasTensors: (name) => TENSORS.test(text(name)),
  };
}
