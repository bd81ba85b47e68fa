/** An `.mlmodel` byte by byte, after Model.proto and NeuralNetwork.proto: neither our writer nor our protobuf reader has a part in it. */

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest < 128 ? rest : (rest % 128) + 128);
    if (rest < 128) return bytes;
  }
}

const join = (...parts: readonly (Uint8Array | readonly number[])[]) =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

export const numberField = (field: number, value: number) => join(varint(field * 8), varint(value));

/** Text, or bytes. */
export function textField(field: number, value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return join(varint(field * 8 + 2), varint(bytes.length), bytes);
}

/** A message of these parts in a field; of several fields: each in the one before it. */
export const message = (fields: readonly number[], ...parts: readonly Uint8Array[]): Uint8Array =>
  fields.reduceRight<Uint8Array>((content, field) => textField(field, content), join(...parts));

export function packedFloats(field: number, values: readonly number[], how: 'packed' | 'single'): Uint8Array {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return how === 'packed' ? textField(field, bytes) : join(varint(field * 8 + 5), bytes);
}

/** One `NeuralNetworkLayer`: its output bears its name. */
export const layerOf = (name: string, kind: number, inputs: readonly string[], parameters: readonly Uint8Array[]) =>
  message(
    [1],
    textField(1, name),
    ...inputs.map((input) => textField(2, input)),
    textField(3, name),
    message([kind], ...parameters),
  );

/** Of an image of one pixel, `pixels`, into three classes by the value `probability`. `colorSpace` 20 is RGB, 30 BGR. */
export function mlmodelByHand(file: {
  readonly layers: readonly Uint8Array[];
  readonly colorSpace?: number;
  /** Field 10 of `NeuralNetworkPreprocessing`, a `NeuralNetworkImageScaler`. */
  readonly scaler?: Uint8Array;
}): Uint8Array {
  const image = message([3, 4], numberField(1, 1), numberField(2, 1), numberField(3, file.colorSpace ?? 20));
  const output = (name: string, type: Uint8Array) => message([10], textField(1, name), message([3], type));
  const description = message(
    [2],
    message([1], textField(1, 'pixels'), image),
    output('label', message([3])),
    output('probability', message([6])),
    textField(11, 'label'),
    textField(12, 'probability'),
  );
  const classifier = message(
    [403],
    ...file.layers,
    ...(file.scaler === undefined ? [] : [message([2], textField(1, 'pixels'), file.scaler)]),
    message([100], ...['red', 'green', 'blue'].map((label) => textField(1, label))),
    textField(200, 'probability'),
  );
  return join(numberField(1, 1), description, classifier);
}
