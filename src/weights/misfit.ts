import { parametersOf } from '../graph/parameters.ts';
import type { Graph, Tensor } from '../graph/types.ts';
import type { Named } from './names.ts';

/** How a file differs from a network; the head is left out: it is another one in every file. */
export interface Misfit {
  /** Torchvision's names. */
  readonly missing: readonly string[];
  /** Names as they stand in the file. */
  readonly unexpected: readonly string[];
  /** `features.0.weight ([16, 3] for [32, 3])` */
  readonly misshapen: readonly string[];
  /** Tensors of the network that the file has, in the right shape, of so many. */
  readonly fitting: number;
  readonly wanted: number;
}

export function misfitOf(graph: Graph, { tensors, inFile }: Named): Misfit {
  const all = parametersOf(graph);
  const wanted = all.filter(({ node }) => node !== graph.head);
  const known = new Set(all.map(({ name }) => name));
  const there = wanted.flatMap((spec) => {
    const tensor = tensors.get(spec.name);
    return tensor ? [{ ...spec, tensor }] : [];
  });
  const misshapen = there.filter(({ tensor, shape }) => !isShape(tensor, shape));
  const nameOf = (name: string): string => inFile.get(name) ?? name;
  return {
    missing: wanted.filter(({ name }) => !tensors.has(name)).map(({ name }) => name),
    unexpected: [...tensors.keys()].filter((name) => !known.has(name)).map(nameOf),
    misshapen: misshapen.map(
      ({ name, shape, tensor }) => `${nameOf(name)} ([${tensor.shape.join(', ')}] for [${shape.join(', ')}])`,
    ),
    fitting: there.length - misshapen.length,
    wanted: wanted.length,
  };
}

export function isNoMisfit({ missing, unexpected, misshapen }: Misfit): boolean {
  return missing.length + unexpected.length + misshapen.length === 0;
}

const NAMED = 3;

/** `2 tensors are missing (a, b); 7 are not known to it (c, d, e, …)`; null where nothing is wrong. */
export function misfitInWords({ missing, unexpected, misshapen }: Misfit): string | null {
  const parts = (
    [
      [missing, 'is missing', 'are missing'],
      [unexpected, 'is not known to it', 'are not known to it'],
      [misshapen, 'has another shape', 'have other shapes'],
    ] as const
  )
    .filter(([names]) => names.length > 0)
    .map(([names, one, many], i) => {
      const count = `${names.length}${i > 0 ? '' : names.length === 1 ? ' tensor' : ' tensors'}`;
      const named = [...names.slice(0, NAMED), ...(names.length > NAMED ? ['…'] : [])].join(', ');
      return `${count} ${names.length === 1 ? one : many} (${named})`;
    });
  return parts.length === 0 ? null : parts.join('; ');
}

const isShape = (tensor: Tensor, shape: readonly number[]): boolean =>
  tensor.shape.length === shape.length && tensor.shape.every((size, axis) => size === shape[axis]);
