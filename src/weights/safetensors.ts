import type { Tensor, Weights } from '../graph/types.ts';
import { NotSafetensorsError } from './errors.ts';
import { fromBfloat16, fromFloat16 } from './float16.ts';

/**
 * safetensors: `uint64` little-endian length of a JSON header, the header, then the tensors' bytes, row-major, little-endian,
 * without gaps or overlaps. Format and limits: https://github.com/huggingface/safetensors (README, "Format").
 */
const maxHeaderBytes = 100_000_000;
const itemSize = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8 } as const;
export type SafetensorsDtype = keyof typeof itemSize;

export interface StoredTensor extends Tensor {
  /** As in the file; `data` is float32 in any case (I64 too: exact up to 2^24). */
  readonly dtype: SafetensorsDtype;
}

export interface SafetensorsFile {
  /** In the order of their bytes. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

interface HeaderEntry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** Throws `NotSafetensorsError`, with the reason. */
export function readSafetensors(file: Uint8Array): SafetensorsFile {
  const { header, body } = readHeader(file);
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => readEntry(name, value))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);

  let position = 0;
  for (const entry of entries) {
    if (entry.begin < position) throw new NotSafetensorsError(`tensor ${entry.name} overlaps the one before it`);
    if (entry.begin > position) throw new NotSafetensorsError(`there is a gap before tensor ${entry.name}`);
    if (entry.end > body.length) {
      throw new NotSafetensorsError(
        `it is cut short: tensor ${entry.name} ends at byte ${entry.end} of ${body.length} that are there`,
      );
    }
    position = entry.end;
  }
  if (position !== body.length) {
    throw new NotSafetensorsError(`${body.length - position} bytes at its end belong to no tensor`);
  }
  const tensors = new Map(
    entries.map(({ name, dtype, shape, begin, end }) => [
      name,
      { dtype, shape, data: toFloat32(dtype, body.slice(begin, end)) },
    ]),
  );
  return { tensors, metadata: readMetadata(header['__metadata__']) };
}

/**
 * All tensors as F32, in the order of `tensors`; `metadata` in the order of its keys, so that equal input gives equal bytes.
 * The header is padded with spaces to a multiple of 8, as the reference implementation does.
 */
export function writeSafetensors(
  tensors: Weights,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header['__metadata__'] = metadata;
  let size = 0;
  for (const [name, { shape, data }] of tensors) {
    if (data.length !== elements(shape)) {
      throw new RangeError(`${name}: ${data.length} values for shape [${shape.join(', ')}]`);
    }
    header[name] = { dtype: 'F32', shape, data_offsets: [size, size + data.byteLength] };
    size += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const headerLength = Math.ceil(text.length / 8) * 8;
  const file = new Uint8Array(8 + headerLength + size);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength), true);
  file.fill(0x20, 8, 8 + headerLength);
  file.set(text, 8);
  let position = 8 + headerLength;
  for (const { data } of tensors.values()) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return file;
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** What a file says of itself, without reading its tensors. Throws `NotSafetensorsError`. */
export function readSafetensorsMetadata(file: Uint8Array): Readonly<Record<string, string>> {
  return readMetadata(readHeader(file).header['__metadata__']);
}

function readHeader(file: Uint8Array): { readonly header: Record<string, unknown>; readonly body: Uint8Array } {
  // A plain view: the `slice` of Node's Buffer doesn't copy.
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.length < 8) throw new NotSafetensorsError(`it has ${bytes.length} bytes, fewer than its first field`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  if (headerLength > maxHeaderBytes) throw new NotSafetensorsError('its first 8 bytes are not a header length');
  if (8 + headerLength > bytes.length) throw new NotSafetensorsError('it ends inside its header');
  const header = parseHeader(bytes.subarray(8, 8 + headerLength));
  return { header, body: bytes.subarray(8 + headerLength) };
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new NotSafetensorsError('its header is not JSON');
  }
  if (header === null || typeof header !== 'object' || Array.isArray(header)) {
    throw new NotSafetensorsError('its header is not a JSON object');
  }
  return header as Record<string, unknown>;
}

function readMetadata(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  const isText =
    value !== null && typeof value === 'object' && Object.values(value).every((v) => typeof v === 'string');
  if (!isText) throw new NotSafetensorsError('its metadata are not texts');
  return value as Record<string, string>;
}

function readEntry(name: string, value: unknown): HeaderEntry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  const natural = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(natural))
    throw new NotSafetensorsError(`tensor ${name} has no valid shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(natural)) {
    throw new NotSafetensorsError(`tensor ${name} has no valid data_offsets`);
  }
  if (typeof dtype !== 'string' || !Object.hasOwn(itemSize, dtype)) {
    const known = Object.keys(itemSize).join(', ');
    throw new NotSafetensorsError(`tensor ${name} is of type ${String(dtype)}, not one of ${known}`);
  }
  const [begin, end] = offsets as [number, number];
  const wanted = elements(shape) * itemSize[dtype as SafetensorsDtype];
  if (end - begin !== wanted) {
    throw new NotSafetensorsError(`tensor ${name} has ${end - begin} bytes where its shape needs ${wanted}`);
  }
  return { name, dtype: dtype as SafetensorsDtype, shape, begin, end };
}

/** `bytes` must start its own buffer (a copy): typed arrays want alignment. */
function toFloat32(dtype: SafetensorsDtype, bytes: Uint8Array): Float32Array {
  const { buffer } = bytes;
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer);
    case 'F64':
      return Float32Array.from(new Float64Array(buffer));
    case 'F16':
      return fromFloat16(new Uint16Array(buffer));
    case 'BF16':
      return fromBfloat16(new Uint16Array(buffer));
    case 'I64':
      return Float32Array.from(new BigInt64Array(buffer), Number);
  }
}
