/** Protobuf's wire format, and ONNX files in it, by hand after onnx/onnx.proto3: what our exporter doesn't write is here, too. */
type Field = Uint8Array;

export const join = (...parts: readonly Uint8Array[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.of(...bytes, Number(rest));
}

/** A number is a varint, `{ float }` four bytes, all else has a length. */
export function field(number: number, value: number | string | Uint8Array | { readonly float: number }): Field {
  if (typeof value === 'number') return join(varint(number * 8), varint(value));
  if (typeof value === 'object' && 'float' in value)
    return join(varint(number * 8 + 5), new Uint8Array(Float32Array.of(value.float).buffer));
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return join(varint(number * 8 + 2), varint(bytes.length), bytes);
}

export const types = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, float16: 10 } as const;

/** A `TensorProto`; `data` are its fields with numbers: `raw(…)`, or those that its type has. */
export const tensor = (name: string, type: number, shape: readonly number[], ...data: readonly Field[]): Uint8Array =>
  join(...shape.map((side) => field(1, side)), field(2, type), field(8, name), ...data);
export const raw = (values: ArrayBufferView): Field =>
  field(9, new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength));
export const floats = (name: string, shape: readonly number[], ...values: readonly number[]): Uint8Array =>
  tensor(name, types.float32, shape, raw(Float32Array.from(values)));
export const integers = (name: string, ...values: readonly number[]): Uint8Array =>
  tensor(name, types.int64, [values.length], raw(BigInt64Array.from(values.map(BigInt))));

type Attribute = number | string | readonly number[] | Uint8Array | { readonly float: number };

/** A `NodeProto`. */
export function node(
  type: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, Attribute>> = {},
  ...more: readonly Field[]
): Uint8Array {
  return join(
    ...inputs.map((input) => field(1, input)),
    field(2, output),
    field(4, type),
    ...Object.entries(attributes).map(([name, value]) => field(5, attribute(name, value))),
    ...more,
  );
}

function attribute(name: string, value: Attribute): Uint8Array {
  const of = (type: number, ...fields: readonly Field[]) => join(field(1, name), ...fields, field(20, type));
  if (typeof value === 'number') return of(2, field(3, value));
  if (typeof value === 'string') return of(3, field(4, value));
  if (value instanceof Uint8Array) return of(4, field(5, value));
  if ('float' in value) return of(1, field(2, value));
  return of(7, ...value.map((one) => field(8, one)));
}

/** A `ValueInfoProto`; dimensions with a name are the caller's. */
export const value = (name: string, shape: readonly (number | string)[], type: number = types.float32): Uint8Array =>
  join(
    field(1, name),
    field(
      2,
      field(
        1,
        join(
          field(1, type),
          field(2, join(...shape.map((side) => field(1, typeof side === 'number' ? field(1, side) : field(2, side))))),
        ),
      ),
    ),
  );

export interface OnnxByHand {
  readonly nodes: readonly Uint8Array[];
  readonly initializers?: readonly Uint8Array[];
  readonly inputs?: readonly Uint8Array[];
  /** Names; their shapes are left unsaid. */
  readonly outputs?: readonly string[];
  readonly opset?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly graphFields?: readonly Field[];
}

/** A `ModelProto`: of images of 2 × 2 pixels, with the output `y`, if nothing else is said. */
export function onnxFile({
  nodes,
  initializers = [],
  inputs = [value('x', ['N', 3, 2, 2])],
  outputs = ['y'],
  opset = 17,
  metadata = {},
  graphFields = [],
}: OnnxByHand): Uint8Array {
  const graph = join(
    ...nodes.map((one) => field(1, one)),
    ...initializers.map((one) => field(5, one)),
    ...inputs.map((one) => field(11, one)),
    ...outputs.map((name) => field(12, field(1, name))),
    ...graphFields,
  );
  return join(
    field(1, 8),
    field(7, graph),
    field(8, join(field(1, ''), field(2, opset))),
    ...Object.entries(metadata).map(([key, text]) => field(14, join(field(1, key), field(2, text)))),
  );
}
