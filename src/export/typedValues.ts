import type { Precision } from './types.ts';

/** Under which names, and in which types, the outputs of a graph's nodes are to be found in the file that is being written. */
export interface TypedValues {
  bind(node: string, name: string, type: Precision): void;
  /** Name of a node's output in a type: cast where it is another, once. */
  operand(node: string, type: Precision): string;
}

/** `cast`: writes a conversion of the value `name` of `node`, and gives its name. */
export function typedValues(cast: (name: string, type: Precision, node: string) => string): TypedValues {
  const bound = new Map<string, { name: string; type: Precision; casts: Map<Precision, string> }>();
  return {
    bind: (node, name, type) => void bound.set(node, { name, type, casts: new Map() }),
    operand(node, type) {
      const value = bound.get(node);
      if (!value) throw new Error(`${node} has no value yet`);
      if (value.type === type) return value.name;
      const known = value.casts.get(type);
      if (known !== undefined) return known;
      const made = cast(value.name, type, node);
      value.casts.set(type, made);
      return made;
    },
  };
}
