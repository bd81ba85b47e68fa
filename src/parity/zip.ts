import { joined } from './joined.ts';
import type { Pause } from './pauses.ts';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
/** Of the record at the end, of an entry of the directory and of the header before its data: what is before names and comments. */
const [END_SIZE, CENTRAL_SIZE, LOCAL_SIZE] = [22, 46, 30];
const STORED = 0;
const DEFLATED = 8;
/** Flags that change nothing: how hard it was compressed, sizes behind the data, names in UTF-8. */
const HARMLESS_FLAGS = 0b1000_0000_1110;
/** Bytes that are checked at a time: a few milliseconds. */
const PIECE = 2 ** 20;

/**
 * All files of a zip archive by path, each checked by its CRC-32 (PKWARE's APPNOTE.TXT 6.3.10): in one part, up to 4 GiB, its directory
 * right before its end, stored or deflated. What is stored is a view of `bytes`. Read here because a library's reader holds the thread for
 * a quarter of a second over 94 MB. `fail`: the error that says of which file it is; thrown for all that is broken or not known here.
 */
export async function readZip(
  given: Uint8Array,
  fail: (why: string, cause?: unknown) => Error,
  between?: Pause,
): Promise<ReadonlyMap<string, Uint8Array>> {
  // No Buffer of Node's, whose slices are views.
  const bytes = new Uint8Array(given.buffer, given.byteOffset, given.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [u16, u32] = [(at: number) => view.getUint16(at, true), (at: number) => view.getUint32(at, true)];
  const textAt = (start: number, length: number) => {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(start, start + length));
    } catch (error) {
      throw fail('a name in it is not UTF-8', error);
    }
  };

  const end = endOf(bytes, u16, u32);
  if (end === null) throw fail('it does not end as one does');
  const [count, size, directory] = [u16(end + 10), u32(end + 12), u32(end + 16)];
  if (u32(end + 4) !== 0 || u16(end + 8) !== count) throw fail('it is one part of several');
  if (directory + size !== end) throw fail('its directory is not where it is said to be');

  const files = new Map<string, Uint8Array>();
  let at = directory;
  for (let nth = 0; nth < count; nth++) {
    if (at + CENTRAL_SIZE > end || u32(at) !== CENTRAL) throw fail(`its directory has no entry ${nth + 1}`);
    const [flags, method, crc] = [u16(at + 8), u16(at + 10), u32(at + 16)];
    const [packedSize, wholeSize, local] = [u32(at + 20), u32(at + 24), u32(at + 42)];
    const nameLength = u16(at + 28);
    const next = at + CENTRAL_SIZE + nameLength + u16(at + 30) + u16(at + 32);
    if (next > end) throw fail(`its directory has no entry ${nth + 1}`);
    const path = textAt(at + CENTRAL_SIZE, nameLength);
    if ((flags & ~HARMLESS_FLAGS) !== 0) throw fail(`“${path}” is encrypted, or in a way that is not known here`);
    if (files.has(path)) throw fail(`it has two files “${path}”`);
    if (local + LOCAL_SIZE > directory || u32(local) !== LOCAL) throw fail(`“${path}” is not where it is said to be`);
    const start = local + LOCAL_SIZE + u16(local + 26) + u16(local + 28);
    if (u16(local + 8) !== method || textAt(local + LOCAL_SIZE, u16(local + 26)) !== path)
      throw fail(`before its data “${path}” is said to be another file`);
    if (start + packedSize > directory) throw fail(`“${path}” goes beyond its end`);
    const packed = bytes.subarray(start, start + packedSize);
    if (method !== STORED && method !== DEFLATED) throw fail(`“${path}” is compressed by method ${method}`);
    const content =
      method === STORED
        ? packed
        : await inflated(packed, wholeSize).catch((error: unknown) => {
            throw fail(`“${path}” is broken`, error);
          });
    if (content.length !== wholeSize) throw fail(`“${path}” has ${content.length} bytes in place of ${wholeSize}`);
    if ((await crcOf(content, between)) !== crc) throw fail(`“${path}” is not what it was when it was packed`);
    if (!path.endsWith('/')) files.set(path, content);
    at = next;
  }
  if (at !== end) throw fail('there is more in its directory than files');
  return files;
}

/** Where the record begins that an archive ends with, behind which is nothing but its comment. */
function endOf(bytes: Uint8Array, u16: (at: number) => number, u32: (at: number) => number): number | null {
  for (let at = bytes.length - END_SIZE; at >= Math.max(0, bytes.length - END_SIZE - 0xffff); at--)
    if (u32(at) === END && at + END_SIZE + u16(at + 20) === bytes.length) return at;
  return null;
}

/** Throws where there is more than `size` bytes, and what the decompressor throws. */
async function inflated(packed: Uint8Array, size: number): Promise<Uint8Array> {
  const source = new Blob([packed as Uint8Array<ArrayBuffer>]).stream();
  const reader = source.pipeThrough(new DecompressionStream('deflate-raw')).getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const chunk: Uint8Array = read.value;
    chunks.push(chunk);
    length += chunk.length;
    if (length > size) {
      await reader.cancel();
      throw new RangeError(`There are more than ${size} bytes.`);
    }
  }
  return joined(chunks);
}

/** Of each byte: its remainder by the polynomial 0xedb88320, reflected. */
const remainders = Int32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
  return rest;
});

async function crcOf(bytes: Uint8Array, between?: Pause): Promise<number> {
  let crc = -1;
  for (let piece = 0; piece < bytes.length; piece += PIECE) {
    const end = Math.min(bytes.length, piece + PIECE);
    for (let i = piece; i < end; i++) crc = (crc >>> 8) ^ remainders[(crc ^ bytes[i]!) & 255]!;
    await between?.();
  }
  return ~crc >>> 0;
}
