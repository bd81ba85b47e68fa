import { UnreadableModelError } from '../errors.ts';
import { fromHalves } from '../interpreter/float16.ts';
import type { Message } from '../protobuf.ts';

/** How a layer's numbers lie in the file. */
export type Storage = 'float32' | 'float16' | '8 bits';

const FLOAT32 = 1;
const FLOAT16 = 2;
const BYTES = 30;
const QUANTIZATION = 40;
const UPDATABLE = 50;
const LINEAR = 101;
const TABLE = 102;

/** `WeightParams` of NeuralNetwork.proto: `size` numbers, row-major, of `rows` output channels. `what` names them in errors. */
export function readWeights(
  message: Message | null,
  what: string,
  rows: number,
  size: number,
): { readonly storage: Storage; readonly data: Float32Array } {
  const fail = (why: string) => new UnreadableModelError(`${what} of the Core ML model file can’t be read: ${why}.`);
  if (message === null) throw fail('it is missing');
  message.allow(what, FLOAT32, FLOAT16, BYTES, QUANTIZATION, UPDATABLE);
  const there = [FLOAT32, FLOAT16, BYTES].filter((field) => message.has(field));
  if (there.length !== 1) throw fail(`it has its numbers ${there.length} times`);

  let storage: Storage;
  let data: Float32Array;
  if (message.has(FLOAT32)) {
    storage = 'float32';
    data = message.floats(FLOAT32);
  } else if (message.has(FLOAT16)) {
    storage = 'float16';
    const bytes = message.bytes(FLOAT16);
    if (bytes.length % 2 !== 0) throw fail(`float16 numbers in ${bytes.length} bytes`);
    // A copy: they may begin at an odd address.
    data = fromHalves(new Uint16Array(new Uint8Array(bytes).buffer));
  } else {
    storage = '8 bits';
    data = unpacked(message.bytes(BYTES), message.message(QUANTIZATION), rows, fail);
  }
  if (data.length !== size) throw fail(`it has ${data.length} numbers in place of ${size}`);
  return { storage, data };
}

function unpacked(
  bytes: Uint8Array,
  quantization: Message | null,
  rows: number,
  fail: (why: string) => Error,
): Float32Array {
  if (quantization === null) throw fail('nothing says what its bytes stand for');
  quantization.allow('A quantization', 1, LINEAR, TABLE);
  if (quantization.int(1) !== 8) throw fail(`${quantization.int(1)} bits a number; 8 are known here`);
  const data = new Float32Array(bytes.length);
  const table = quantization.message(TABLE)?.floats(1);
  if (table !== undefined) {
    if (table.length !== 256) throw fail(`its table has ${table.length} numbers`);
    for (let i = 0; i < bytes.length; i++) data[i] = table[bytes[i]!]!;
    return data;
  }
  const linear = quantization.message(LINEAR);
  if (linear === null) throw fail('it is quantized in a way that is not known here');
  const scale = linear.floats(1);
  const bias = linear.floats(2);
  if ((scale.length !== 1 && scale.length !== rows) || (bias.length !== 0 && bias.length !== scale.length))
    throw fail(`it has ${scale.length} scales and ${bias.length} biases for ${rows} channels`);
  const row = bytes.length / scale.length;
  for (let channel = 0; channel < scale.length; channel++) {
    const [factor, shift] = [scale[channel]!, bias[channel] ?? 0];
    for (let i = channel * row; i < (channel + 1) * row; i++) data[i] = bytes[i]! * factor + shift;
  }
  return data;
}
