import { BlobWriter, TextReader, Uint8ArrayReader, ZipWriter } from '@zip.js/zip.js';
import sharp from 'sharp';
import { checkedDecoder } from '../../../src/dataset/decoding.ts';
import { importFiles, type ImportOptions } from '../../../src/dataset/import.ts';
import type { Dataset } from '../../../src/dataset/types.ts';
import { imageDecoder } from '../../../src/platform/node/imageDecoder.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';

export type Files = Readonly<Record<string, Uint8Array | string>>;

/** A real zip, deflated, by zip.js's writer. */
export async function zipOf(files: Files, options: { password?: string } = {}): Promise<Blob> {
  const writer = new ZipWriter(new BlobWriter('application/zip'), { ...options, useWebWorkers: false });
  for (const [path, content] of Object.entries(files)) {
    await writer.add(path, typeof content === 'string' ? new TextReader(content) : new Uint8ArrayReader(content));
  }
  return writer.close();
}

/** A different JPEG for each number. */
export async function jpeg(number: number, width = 40, height = 30): Promise<Uint8Array> {
  const raw = Buffer.from(
    Array.from({ length: width * height * 3 }, (_, i) => (i * (number + 3) * 7 + number * 31) % 256),
  );
  return new Uint8Array(
    await sharp(raw, { raw: { width, height, channels: 3 } })
      .jpeg()
      .toBuffer(),
  );
}

/** `PREFIX/0.jpg` and so on. */
export async function jpegs(prefix: string, n: number, from: number): Promise<Record<string, Uint8Array>> {
  const list = await Promise.all(
    Array.from({ length: n }, async (_, i) => [`${prefix}/${i}.jpg`, await jpeg(from + i)] as const),
  );
  return Object.fromEntries(list);
}

export function optionsFor(more: Partial<ImportOptions> = {}): ImportOptions {
  return {
    store: memoryDatasetStore(),
    decoder: checkedDecoder(imageDecoder()),
    imgSize: 32,
    decoders: 3,
    signal: new AbortController().signal,
    ...more,
  };
}

export function importZip(file: Blob, more: Partial<ImportOptions> = {}): Promise<Dataset> {
  return importFiles({ files: [{ path: 'set.zip', file }], name: 'set.zip', source: 'zip' }, optionsFor(more));
}
