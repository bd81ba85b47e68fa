import type { Weights } from '../../graph/types.ts';
import type { MilArgument, MilConstant, MilFloat } from './milValues.ts';

/** What the writing of one node may use. */
export interface ProgramWriter {
  readonly precision: MilFloat;
  readonly weights: Weights;
  /** MIL's shape of a node's output: `[1,C,H,W]` or `[1,C]`. */
  shapeOf(node: string): readonly number[];
  /** MIL's name of a node's output in the given type (default: the program's); casts where needed. */
  operand(node: string, type?: MilFloat): string;
  /** Name of a const; equal small values share one. */
  constant(hint: string, value: MilConstant): string;
  /** Name of a const that holds `values`; in the weight file from ten values on. */
  floats(hint: string, values: Float32Array | readonly number[], shape: readonly number[], type?: MilFloat): string;
  /** Parameter `${node}.${kind}` as a const. */
  parameter(node: string, kind: 'weight' | 'bias'): string;
  /** Appends an operation whose output is an intermediate value. */
  emit(
    type: string,
    name: string,
    inputs: Readonly<Record<string, MilArgument>>,
    shape: readonly number[],
    as?: MilFloat,
  ): string;
  /** Says under which MIL name, in which type, a node's output is to be found. */
  bind(node: string, name: string, type?: MilFloat): void;
}
