import { PyTorchFileError } from '../errors.ts';

/** A zip (`PK`), a pickle of protocol 2 to 5 (`0x80 0x02`…) or a tar: what `torch.save` writes or wrote. safetensors has `{` at byte 8. */
export function isPyTorchFile(bytes: Uint8Array): boolean {
  const pickle = bytes[0] === 0x80 && (bytes[1] ?? 0) >= 2 && (bytes[1] ?? 0) <= 5;
  return (isZip(bytes) || pickle || isTar(bytes)) && bytes[8] !== 0x7b;
}

export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
}

/** How the first versions of torch saved (torch/serialization.py, `legacy_load`); `ustar` stands at byte 257 (POSIX.1-1988). */
export function isTar(bytes: Uint8Array): boolean {
  return [...'ustar'].every((letter, i) => bytes[257 + i] === letter.charCodeAt(0));
}

/**
 * The entries of a zip as views of its bytes, by name. `torch.save` stores them uncompressed, and so nothing here unpacks anything.
 * Format: PKWARE's APPNOTE.TXT 6.3.10, 4.3.6–4.3.16 and 4.5.3 (zip64). Throws `PyTorchFileError`.
 */
export function zipEntries(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const within = (at: number, size: number): number => {
    if (!(at >= 0 && at + size <= bytes.length)) throw cutShort();
    return at;
  };
  const uint16 = (at: number): number => view.getUint16(within(at, 2), true);
  const uint32 = (at: number): number => view.getUint32(within(at, 4), true);
  const uint64 = (at: number): number => Number(view.getBigUint64(within(at, 8), true));
  const name = new TextDecoder();

  let { count, at } = directoryOf(bytes, { uint16, uint32, uint64 });
  const entries = new Map<string, Uint8Array>();
  for (; count > 0; count--) {
    if (uint32(at) !== 0x02014b50) throw cutShort();
    const [flags, method] = [uint16(at + 8), uint16(at + 10)];
    const [nameLength, extraLength, commentLength] = [uint16(at + 28), uint16(at + 30), uint16(at + 32)];
    const key = name.decode(bytes.subarray(at + 46, within(at + 46, nameLength) + nameLength));
    const extra = at + 46 + nameLength;
    // Sizes and offsets that do not fit into 32 bits stand in the zip64 field, in this order, each only if it is needed.
    const sizes = [uint32(at + 24), uint32(at + 20), uint32(at + 42)];
    let wide = zip64Field(extra, extraLength, uint16);
    for (const [i, value] of sizes.entries()) {
      if (value !== 0xffffffff) continue;
      if (wide === null) throw cutShort();
      sizes[i] = uint64(wide);
      wide += 8;
    }
    const [size, stored, header] = sizes as [number, number, number];
    if ((flags & 1) !== 0) throw new PyTorchFileError('it is a zip that needs a password');
    if (method !== 0 || size !== stored)
      throw new PyTorchFileError('it is a zip with compressed files, which torch.save never writes');
    if (uint32(header) !== 0x04034b50) throw cutShort();
    const begin = header + 30 + uint16(header + 26) + uint16(header + 28);
    entries.set(key, bytes.subarray(within(begin, size), begin + size));
    at = extra + extraLength + commentLength;
  }
  return entries;
}

interface Numbers {
  uint16(at: number): number;
  uint32(at: number): number;
  uint64(at: number): number;
}

/** Where the central directory begins and how many entries it has; its own record is the last thing in the file. */
function directoryOf(bytes: Uint8Array, read: Numbers): { count: number; at: number } {
  // 22 bytes, and behind them a comment of up to 65,535.
  for (let end = bytes.length - 22; end >= Math.max(0, bytes.length - 22 - 0xffff); end--) {
    if (bytes[end] !== 0x50 || read.uint32(end) !== 0x06054b50) continue;
    const [count, at] = [read.uint16(end + 10), read.uint32(end + 16)];
    if (count !== 0xffff && at !== 0xffffffff) return { count, at };
    if (end < 20 || read.uint32(end - 20) !== 0x07064b50) throw cutShort();
    const wide = read.uint64(end - 12);
    if (read.uint32(wide) !== 0x06064b50) throw cutShort();
    return { count: read.uint64(wide + 32), at: read.uint64(wide + 48) };
  }
  throw cutShort();
}

/** Where the values of an entry's zip64 field begin. */
function zip64Field(extra: number, length: number, uint16: Numbers['uint16']): number | null {
  for (let at = extra; at + 4 <= extra + length; at += 4 + uint16(at + 2)) if (uint16(at) === 1) return at + 4;
  return null;
}

const cutShort = () => new PyTorchFileError('it is cut short or damaged: the directory of its zip is not whole');
