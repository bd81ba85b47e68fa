import { UnreadableModelError } from '../errors.ts';
import type { MilType } from './milType.ts';

/** Alignment of everything in the file, and the size of its header and of each blob's metadata. */
const UNIT = 64;
const SENTINEL = 0xdeadbeef;
/** Of BlobDataType.hpp; those that image classifiers have no use for are not known here. */
const typeOfCode: Readonly<Record<number, MilType>> = {
  1: 'float16',
  2: 'float32',
  3: 'uint8',
  4: 'int8',
  6: 'int16',
  7: 'uint16',
  14: 'int32',
  15: 'uint32',
};
const CODES_WITH_ODD_BITS = [8, 9, 10, 11, 12, 13];

export interface WeightFile {
  /** The blob whose metadata begins at `offset`: its type, and its bytes in place. `reader` is named in errors. */
  blob(offset: number, reader: string): { readonly type: MilType; readonly bytes: Uint8Array };
  /** Refuses a file with more in it than has been read, or with gaps: nothing may hide there. */
  checkAllRead(): void;
}

/**
 * Core ML's blob storage, version 2, little endian (coremltools, MILBlob/Blob/StorageFormat.hpp): a header of 64 bytes (uint32 count, uint32
 * version), then for each blob 64 bytes of metadata (uint32 sentinel, uint32 type, uint64 size, uint64 offset of the data, uint64 bits of
 * padding, zeros) and its data, all aligned to 64 bytes.
 */
export function readWeightFile(bytes: Uint8Array): WeightFile {
  const fail = (what: string) => new UnreadableModelError(`The package’s weight file is broken: ${what}.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < UNIT) throw fail(`it has ${bytes.length} bytes, fewer than its header`);
  const count = view.getUint32(0, true);
  const version = view.getUint32(4, true);
  if (version !== 2) throw fail(`it has version ${version}, and only version 2 is known here`);
  if (bytes.subarray(8, UNIT).some((byte) => byte !== 0)) throw fail('its header is not empty where it has to be');
  const ends = new Map<number, number>();

  /** Numbers of 64 bits that a file of this size can have. */
  const long = (at: number) => view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;

  return {
    blob(offset, reader) {
      const refuse = (what: string) => fail(`the weights of “${reader}”, at byte ${offset}: ${what}`);
      if (offset % UNIT !== 0 || offset < UNIT) throw refuse('no blob can begin there');
      if (offset + UNIT > bytes.length) throw refuse('that is beyond its end');
      if (view.getUint32(offset, true) !== SENTINEL) throw refuse('no blob begins there');
      const code = view.getUint32(offset + 4, true);
      const type = typeOfCode[code];
      if (type === undefined)
        throw refuse(
          CODES_WITH_ODD_BITS.includes(code)
            ? `they have fewer than 8 bits each (data type ${code}), which is not known here`
            : `there is no data type ${code}`,
        );
      const size = long(offset + 8);
      const start = long(offset + 16);
      if (bytes.subarray(offset + 24, offset + UNIT).some((byte) => byte !== 0))
        throw refuse('its metadata are not empty where they have to be');
      if (start !== offset + UNIT) throw refuse(`its data are said to begin at ${start}`);
      if (start + size > bytes.length) throw refuse(`its ${size} bytes go beyond the end of the file`);
      ends.set(offset, start + size);
      return { type, bytes: bytes.subarray(start, start + size) };
    },

    checkAllRead() {
      if (ends.size !== count) throw fail(`it holds ${count} blobs, and the model reads ${ends.size}`);
      let end = UNIT;
      for (const offset of [...ends.keys()].sort((a, b) => a - b)) {
        if (offset !== end) throw fail(`a blob begins at ${offset} where the one before it ends at ${end}`);
        end = Math.ceil(ends.get(offset)! / UNIT) * UNIT;
      }
      if (bytes.length > end) throw fail(`there are ${bytes.length - end} bytes after its last blob`);
    },
  };
}
