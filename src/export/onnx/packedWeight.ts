import type { Tensor } from '../../graph/types.ts';
import { palettize } from '../eightBit/palettize.ts';
import { quantize } from '../eightBit/quantize.ts';
import type { Precision, WeightStorage } from '../types.ts';
import { TensorProto_DataType as DataType } from './generated/onnx_pb.ts';
import type { GraphWriter } from './graphWriter.ts';
import { dataTypeOf } from './values.ts';

/**
 * A weight in 8 bits and the nodes that unpack it; the name of what they give. `linear`: DequantizeLinear with a scale and a zero point a
 * channel. `palettized`: ONNX has no operator for it, Gather picks from the table of 256, and a runtime that folds constants
 * (onnxruntime does) has done so before the first image.
 */
export function packedWeight(
  storage: Exclude<WeightStorage, 'full'>,
  name: string,
  { data, shape }: Tensor,
  precision: Precision,
  { emit, floats }: Pick<GraphWriter, 'emit' | 'floats'>,
  store: (name: string, bytes: Uint8Array, shape: readonly number[], type: DataType) => string,
): string {
  if (storage === 'palettized') {
    const { palette, indices } = palettize(data);
    const stored = store(`${name}.indices`, indices, shape, DataType.UINT8);
    // Gather takes no smaller ones.
    const wide = emit('Cast', `${name}.indices.int32`, [stored], { to: DataType.INT32 });
    return emit('Gather', name, [floats(`${name}.palette`, palette, [palette.length]), wide], { axis: 0 });
  }
  const [channels = 1] = shape;
  const { values, scale, zeroPoint } = quantize(data, channels);
  const parts = [
    store(`${name}.quantized`, new Uint8Array(values.buffer), shape, DataType.INT8),
    floats(`${name}.scale`, scale, [channels], 'float32'),
    store(`${name}.zero_point`, new Uint8Array(zeroPoint.buffer), [channels], DataType.INT8),
  ];
  // Up to opset 18 it gives float32 and nothing else.
  if (precision === 'float32') return emit('DequantizeLinear', name, parts, { axis: 0 });
  const wide = emit('DequantizeLinear', `${name}.dequantized`, parts, { axis: 0 });
  return emit('Cast', name, [wide], { to: dataTypeOf[precision] });
}
