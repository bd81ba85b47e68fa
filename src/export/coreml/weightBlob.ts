/**
 * `weights/weight.bin`: MIL's blob storage, version 2, little-endian, everything aligned to 64 bytes. A 64-byte header (count,
 * version), then for each blob 64 bytes of metadata and its data. Source: apple/coremltools, mlmodel/src/MILBlob/Blob/
 * StorageFormat.hpp and BlobDataType.hpp.
 */
const alignment = 64;
const sentinel = 0xdeadbeef;
const version = 2;
const dataTypeCode = { float16: 1, float32: 2, uint8: 3, int8: 4 } as const;
export type BlobType = keyof typeof dataTypeCode;

export interface WeightBlobWriter {
  /** Little-endian bytes. Returns the offset of the blob's metadata, which is what a const in the program points at. */
  add(bytes: Uint8Array, type: BlobType): number;
  /** The whole file. */
  finish(): Uint8Array<ArrayBuffer>;
}

export function weightBlobWriter(): WeightBlobWriter {
  const blobs: { offset: number; type: BlobType; bytes: Uint8Array }[] = [];
  let end = alignment;
  return {
    add(bytes, type) {
      const offset = end;
      blobs.push({ offset, type, bytes });
      end = aligned(offset + alignment + bytes.length);
      return offset;
    },
    finish() {
      const file = new Uint8Array(end);
      const view = new DataView(file.buffer);
      view.setUint32(0, blobs.length, true);
      view.setUint32(4, version, true);
      for (const { offset, type, bytes } of blobs) {
        view.setUint32(offset, sentinel, true);
        view.setUint32(offset + 4, dataTypeCode[type], true);
        view.setBigUint64(offset + 8, BigInt(bytes.length), true);
        view.setBigUint64(offset + 16, BigInt(offset + alignment), true);
        file.set(bytes, offset + alignment);
      }
      return file;
    },
  };
}

function aligned(position: number): number {
  return Math.ceil(position / alignment) * alignment;
}
