import type { MessageInitShape } from '@bufbuild/protobuf';
import type { WeightParamsSchema } from '../coreml/generated/NeuralNetwork_pb.ts';
import { palettize } from '../eightBit/palettize.ts';
import { quantize } from '../eightBit/quantize.ts';
import { smallestPacked } from '../eightBit/smallestPacked.ts';
import { encode } from '../floatBytes.ts';
import type { Precision, WeightStorage } from '../types.ts';

type WeightParamsInit = MessageInitShape<typeof WeightParamsSchema>;

/** How a layer's numbers lie in the file. Both throw `Float16RangeError`; `name` is for it to say which. */
export interface WeightWriter {
  readonly precision: Precision;
  /** Biases and what belongs to a batch norm: never in 8 bits. */
  vector(name: string, values: Float32Array): WeightParamsInit;
  /** Weights of a convolution or a linear layer: `rows` outputs, row-major. */
  matrix(name: string, values: Float32Array, rows: number): WeightParamsInit;
}

export function weightWriter(precision: Precision, storage: WeightStorage): WeightWriter {
  const vector = (name: string, values: Float32Array): WeightParamsInit =>
    precision === 'float16'
      ? { float16Value: encode(name, values, precision) }
      : { floatValue: encode(name, values, precision) };
  return {
    precision,
    vector,
    matrix(name, values, rows) {
      if (storage === 'full' || values.length <= smallestPacked) return vector(name, values);
      return storage === 'linear' ? linear(values, rows) : palettized(values);
    },
  };
}

/** weight = scale[row] · byte + bias[row]. */
function linear(weights: Float32Array, rows: number): WeightParamsInit {
  const { values, scale, zeroPoint } = quantize(weights, rows);
  return {
    rawValue: Uint8Array.from(values, (value) => value + 128),
    quantization: {
      numberOfBits: 8n,
      QuantizationType: {
        case: 'linearQuantization',
        value: { scale: [...scale], bias: [...scale].map((step, row) => -step * ((zeroPoint[row] as number) + 128)) },
      },
    },
  };
}

function palettized(values: Float32Array): WeightParamsInit {
  const { palette, indices } = palettize(values);
  return {
    rawValue: indices,
    quantization: {
      numberOfBits: 8n,
      QuantizationType: { case: 'lookupTableQuantization', value: { floatValue: [...palette] } },
    },
  };
}
