import type { Tensor, Weights } from '../../graph/types.ts';
import { PyTorchFileError } from '../errors.ts';
import { isTar, isZip, zipEntries } from './container.ts';
import { materialise, objectName, TensorView, torchMakers, type Storage } from './tensors.ts';
import { unpickle, type Makers, type Pickled } from './unpickle.ts';

/** Where trainers put a model's state_dict beside other things; Ignite: `{'model': …, 'optimizer': …, 'trainer': …}`. */
const places = ['model', 'state_dict', 'model_state_dict', 'net'];

/**
 * The state_dict in a file of `torch.save`, as float32 under the file's own names: a zip (torch 1.6 and later) or the older row of
 * pickles. No code in it is run (`unpickle.ts`). Sources: torch/serialization.py, `_save`, `_legacy_save`, `_legacy_load`.
 * Throws `PyTorchFileError`.
 */
export function readPyTorchFile(bytes: Uint8Array): Weights {
  if (isTar(bytes))
    throw new PyTorchFileError('it is a tar, as the first versions of torch wrote them, or of another program');
  const { value, bytesOf } = isZip(bytes) ? readZip(bytes) : readLegacy(bytes);
  const weights = new Map<string, Tensor>();
  // A value takes a byte at the least; tensors that share memory a thousand times over are somebody's joke.
  let left = bytes.length;
  for (const [name, entry] of stateDictIn(value)) {
    if (typeof name !== 'string') continue;
    if (entry instanceof TensorView) {
      const tensor = materialise(name, entry, bytesOf(entry.storage), left);
      left -= tensor.data.length;
      weights.set(name, tensor);
      continue;
    }
    const object = objectName(entry);
    if (object !== null) throw new PyTorchFileError(`to have ${name}, Python code (${object}) would have to be run`);
  }
  return weights;
}

interface Contents {
  readonly value: Pickled;
  bytesOf(storage: Storage): Uint8Array;
}

function readZip(bytes: Uint8Array): Contents {
  const entries = zipEntries(bytes);
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1)
    throw new PyTorchFileError('it is a zip, but not one of torch.save: it has no data.pkl');
  const folder = pickle.slice(0, -'data.pkl'.length);
  const order = entries.get(`${folder}byteorder`);
  if (order !== undefined && new TextDecoder().decode(order) !== 'little') throw bigEndian();
  const { value } = unpickle(
    entries.get(pickle) as Uint8Array,
    torchMakers(() => undefined),
  );
  return {
    value,
    bytesOf: ({ key }) => {
      const data = entries.get(`${folder}data/${key}`);
      if (data === undefined) throw new PyTorchFileError(`it is damaged: the values of storage ${key} are missing`);
      return data;
    },
  };
}

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

/** Five pickles: magic number, protocol, system, the object, keys of its storages; then the storages, each with its length. */
function readLegacy(bytes: Uint8Array): Contents {
  const storages = new Map<string, Storage>();
  const plain: Makers = { call: {}, persistent: () => null };
  const magic = unpickle(bytes, plain);
  if (magic.value !== MAGIC) throw new PyTorchFileError('it is a pickle, but not one of torch.save');
  const protocol = unpickle(bytes, plain, magic.end);
  if (protocol.value !== PROTOCOL)
    throw new PyTorchFileError(`it is of torch's protocol ${String(protocol.value)}, only ${PROTOCOL} is known`);
  const system = unpickle(bytes, plain, protocol.end);
  if (!(system.value instanceof Map) || system.value.get('little_endian') !== true) throw bigEndian();
  const object = unpickle(
    bytes,
    torchMakers((one) => storages.set(one.key, one)),
    system.end,
  );
  const keys = unpickle(bytes, plain, object.end);
  if (!Array.isArray(keys.value)) throw new PyTorchFileError('it is damaged: the list of its storages is missing');

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data = new Map<string, Uint8Array>();
  let at = keys.end;
  for (const key of keys.value) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (storage === undefined) throw new PyTorchFileError('it is damaged: it lists a storage that nothing uses');
    if (at + 8 > bytes.length) throw cutShort();
    const length = Number(view.getBigInt64(at, true));
    const end = at + 8 + length * storage.itemSize;
    if (length !== storage.length || end > bytes.length) throw cutShort();
    data.set(storage.key, bytes.subarray(at + 8, end));
    at = end;
  }
  return {
    value: object.value,
    bytesOf: ({ key }) => {
      const found = data.get(key);
      if (found === undefined) throw cutShort();
      return found;
    },
  };
}

function stateDictIn(value: Pickled, depth = 0): ReadonlyMap<Pickled, Pickled> {
  if (value instanceof Map) {
    if ([...value.values()].some((entry) => entry instanceof TensorView)) return value;
    for (const place of places) {
      const inner = value.get(place);
      if (inner instanceof Map && depth < 2) return stateDictIn(inner, depth + 1);
      if (objectName(inner) !== null) return stateDictIn(inner as Pickled, depth + 1);
    }
    const keys = [...value.keys()].slice(0, 5).map(String).join(', ');
    throw new PyTorchFileError(`no state_dict was found in it${keys === '' ? '' : ` (it has ${keys})`}`);
  }
  const object = objectName(value);
  if (object === null) throw new PyTorchFileError('it holds no state_dict');
  throw new PyTorchFileError(
    `it holds a whole Python object (${object}), which only Python can bring back, not a state_dict`,
  );
}

const cutShort = () => new PyTorchFileError('it is cut short or damaged: the values of its tensors are not whole');
const bigEndian = () => new PyTorchFileError('it was written on a machine with another byte order');
