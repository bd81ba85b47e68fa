import type { Tensor } from '../../graph/types.ts';
import { PyTorchFileError } from '../errors.ts';
import { fromBfloat16, fromFloat16 } from '../float16.ts';
import { Global, Made, Placeholder, type Makers, type Pickled } from './unpickle.ts';

/** Bytes of one value of a storage, and how its bytes (a copy) become float32; int64 is exact up to 2^24. */
const storageTypes = {
  FloatStorage: { size: 4, read: (b: ArrayBuffer) => new Float32Array(b) },
  DoubleStorage: { size: 8, read: (b: ArrayBuffer) => Float32Array.from(new Float64Array(b)) },
  HalfStorage: { size: 2, read: (b: ArrayBuffer) => fromFloat16(new Uint16Array(b)) },
  BFloat16Storage: { size: 2, read: (b: ArrayBuffer) => fromBfloat16(new Uint16Array(b)) },
  LongStorage: { size: 8, read: (b: ArrayBuffer) => Float32Array.from(new BigInt64Array(b), Number) },
  // Never turned into weights, but they may lie between others in a file of the old form.
  IntStorage: { size: 4, read: null },
  ShortStorage: { size: 2, read: null },
  CharStorage: { size: 1, read: null },
  ByteStorage: { size: 1, read: null },
  BoolStorage: { size: 1, read: null },
} as const;
type StorageType = keyof typeof storageTypes;

/** A flat piece of memory that tensors look into; several may share one. Its bytes are fetched when they are needed. */
export class Storage extends Made {
  readonly kind = 'storage';
  constructor(
    readonly type: StorageType,
    readonly key: string,
    /** Values, not bytes. */
    readonly length: number,
  ) {
    super();
  }
  get itemSize(): number {
    return storageTypes[this.type].size;
  }
}

export class TensorView extends Made {
  readonly kind = 'tensor';
  constructor(
    readonly storage: Storage,
    /** In values, as the strides. */
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {
    super();
  }
}

/** The only names that make something; `found` is told of each storage. */
export function torchMakers(found: (storage: Storage) => void): Makers {
  const tensor = ([storage, offset, shape, strides]: readonly Pickled[]): Pickled => {
    if (storage instanceof Placeholder) return storage;
    if (!(storage instanceof Storage)) throw damaged('a tensor without a storage');
    return new TensorView(storage, natural(offset), naturals(shape), naturals(strides));
  };
  const parameter = ([data]: readonly Pickled[]): Pickled => data ?? null;
  return {
    call: {
      'collections.OrderedDict': ([pairs]) => new Map(Array.isArray(pairs) ? pairs.map(pairOf) : []),
      'torch.Size': ([sizes]) => sizes ?? [],
      'torch._utils._rebuild_tensor': tensor,
      'torch._utils._rebuild_tensor_v2': tensor,
      'torch._utils._rebuild_parameter': parameter,
      'torch._utils._rebuild_parameter_with_state': parameter,
    },
    // ('storage', torch.FloatStorage, '0', 'cpu', 864, and in the old form a view of another storage or None)
    persistent: (id) => {
      const [what, type, key, , length, view] = Array.isArray(id) ? id : [];
      if (what !== 'storage' || !(type instanceof Global) || typeof key !== 'string')
        throw damaged('an unknown reference');
      if (view != null) throw new PyTorchFileError('it shares memory in a way that torch gave up long ago');
      const name = type.name.replace(/^torch\.(cuda\.)?/, '');
      // It may belong to an optimiser, and not be wanted.
      if (!Object.hasOwn(storageTypes, name)) return new Placeholder(type.name);
      const storage = new Storage(name as StorageType, key, natural(length));
      found(storage);
      return storage;
    },
  };
}

/** Row-major float32. `bytes`: the storage's; at most `limit` values. Throws `PyTorchFileError`. */
export function materialise(name: string, view: TensorView, bytes: Uint8Array, limit: number): Tensor {
  const { storage, offset, shape, strides } = view;
  const { read, size } = storageTypes[storage.type];
  if (read === null) {
    const type = storage.type.replace('Storage', '').toLowerCase();
    throw new PyTorchFileError(`${name} has values of type ${type}, which aren't read`);
  }
  const count = shape.reduce((product, n) => product * n, 1);
  if (strides.length !== shape.length) throw damaged(`${name} has not a stride for each axis`);
  if (count === 0) return { shape, data: new Float32Array(0) };
  const last = shape.reduce((sum, n, axis) => sum + (n - 1) * (strides[axis] as number), offset);
  if (!(last < storage.length && storage.length * size <= bytes.length))
    throw damaged(`${name} reaches beyond the end of its storage`);
  if (count > limit || count > storage.length) throw damaged(`${name} has more values than the file can hold`);
  const from = (first: number, n: number): Float32Array =>
    read(bytes.slice(first * size, (first + n) * size).buffer as ArrayBuffer);
  if (isContiguous(shape, strides)) return { shape, data: from(offset, count) };
  const source = from(offset, last - offset + 1);
  const data = new Float32Array(count);
  const index = shape.map(() => 0);
  for (let i = 0, at = 0; i < count; i++) {
    data[i] = source[at] as number;
    // The odometer: the last axis turns first.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [n, stride] = [shape[axis] as number, strides[axis] as number];
      at += stride;
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < n) break;
      index[axis] = 0;
      at -= n * stride;
    }
  }
  return { shape, data };
}

/** An axis of size 1 may have any stride. */
function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let wanted = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== wanted) return false;
    wanted *= shape[axis] as number;
  }
  return true;
}

/** What stands where a tensor was wanted, in words; null for what is none of Python's objects. */
export function objectName(value: Pickled | undefined): string | null {
  if (value instanceof Placeholder) return value.of;
  return value instanceof Global ? value.name : null;
}

function pairOf(pair: Pickled): [Pickled, Pickled] {
  if (!Array.isArray(pair) || pair.length !== 2) throw damaged('a dictionary without keys');
  return [pair[0] as Pickled, pair[1] as Pickled];
}

function natural(value: Pickled | undefined): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw damaged('a size that is no size');
  return value;
}

function naturals(value: Pickled | undefined): number[] {
  if (!Array.isArray(value)) throw damaged('a shape that is no list');
  return value.map(natural);
}

const damaged = (what: string) => new PyTorchFileError(`it is damaged: ${what}`);
