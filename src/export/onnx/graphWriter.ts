import type { Weights } from '../../graph/types.ts';
import type { Precision } from '../types.ts';
import type { AttributeValue } from './values.ts';

/** What the writing of one node of our graph may use. */
export interface GraphWriter {
  /** Of the arithmetic, but for the ends. */
  readonly precision: Precision;
  readonly weights: Weights;
  /** ONNX's name of a node's output in the given type (default: the model's); casts where needed. */
  operand(node: string, type?: Precision): string;
  /** Name of an initializer with these values. */
  floats(name: string, values: Float32Array | readonly number[], shape: readonly number[], type?: Precision): string;
  /** Parameter `${node}.${kind}` as an initializer. */
  parameter(node: string, kind: 'weight' | 'bias'): string;
  /** Appends an ONNX node and returns its output's name. */
  emit(
    type: string,
    name: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, AttributeValue>>,
  ): string;
  /** Says under which name, in which type, a node's output is to be found. */
  bind(node: string, name: string, type?: Precision): void;
}
