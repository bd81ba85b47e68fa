import type { Tensor } from '../../graph/types.ts';
import { float16Bits, float16Value } from '../../weights/float16.ts';
import { palettize } from '../eightBit/palettize.ts';
import { quantize } from '../eightBit/quantize.ts';
import { encode } from '../floatBytes.ts';
import type { WeightStorage } from '../types.ts';
import type { Operation } from './generated/MIL_pb.ts';
import * as mil from './milValues.ts';
import type { MilConstant, MilFloat } from './milValues.ts';
import type { BlobType } from './weightBlob.ts';

/**
 * The operation that unpacks a weight, with its parts in the form in which coremltools.optimize.coreml writes them for iOS 16. `store`
 * says where bytes of a shape and type are to be found.
 */
export function packedWeight(
  storage: Exclude<WeightStorage, 'full'>,
  name: string,
  { data, shape }: Tensor,
  precision: MilFloat,
  store: (bytes: Uint8Array, shape: readonly number[], type: BlobType) => MilConstant,
): Operation {
  const output = { name, type: mil.floatTensorType(precision, shape) };
  if (storage === 'palettized') {
    const { palette, indices } = palettize(data);
    return mil.constexprOperation('constexpr_lut_to_dense', output, {
      indices: store(indices, [indices.length], 'uint8'),
      lut: store(encode(name, palette, precision), [palette.length], precision),
      shape: mil.shapeConstant(shape),
    });
  }
  // Throws where a weight is too large; the numbers of steps wouldn't.
  if (precision === 'float16') encode(name, data, precision);
  const [channels = 1] = shape;
  const { values, scale, zeroPoint } = quantize(
    data,
    channels,
    precision === 'float16' ? (step) => float16Value(float16Bits(step)) : undefined,
  );
  return mil.constexprOperation('constexpr_affine_dequantize', output, {
    quantized_data: store(new Uint8Array(values.buffer), shape, 'int8'),
    zero_point: store(new Uint8Array(zeroPoint.buffer), [channels], 'int8'),
    scale: store(encode(name, scale, precision), [channels], precision),
    axis: mil.intConstant(0),
  });
}
