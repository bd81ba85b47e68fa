import JSZip from 'jszip';
import { describe, expect, it } from 'vitest';
import { readZip } from '../../../src/parity/zip.ts';

/** Archives by JSZip, and what JSZip finds in them. */
const fail = (why: string) => new Error(`zip: ${why}`);
const text = 'Früh and late, '.repeat(2000);

async function archive(
  compression: 'STORE' | 'DEFLATE',
  more: { readonly streamFiles?: boolean; readonly comment?: string } = {},
): Promise<Uint8Array> {
  const zip = new JSZip();
  zip.file('a folder/Früh.txt', text);
  zip.file('empty', '');
  zip.file(
    'bytes.bin',
    Uint8Array.from({ length: 1.5 * 2 ** 20 }, (_, i) => (i * i) >>> 7),
  );
  return zip.generateAsync({ type: 'uint8array', compression, ...more });
}
const u32 = (bytes: Uint8Array, at: number) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
/** The record of the whole begins 22 bytes before the end, where there is no comment. */
const directoryOf = (bytes: Uint8Array) => u32(bytes, bytes.length - 6);

describe('a zip archive', () => {
  it.each<[string, () => Promise<Uint8Array>]>([
    ['stored', () => archive('STORE')],
    ['deflated', () => archive('DEFLATE')],
    ['with sizes behind the data', () => archive('DEFLATE', { streamFiles: true })],
    ['with a comment', () => archive('STORE', { comment: 'PK\u0001\u0002 is how others begin' })],
    [
      'in a larger memory',
      async () => new Uint8Array(Buffer.concat([Buffer.alloc(5), await archive('STORE')])).subarray(5),
    ],
  ])('is read, %s: every file in it, and no folder', async (_, made) => {
    const bytes = await made();
    const files = await readZip(bytes, fail);
    const theirs = await JSZip.loadAsync(bytes);
    const named = Object.values(theirs.files).filter(({ dir }) => !dir);
    expect([...files.keys()].sort()).toEqual(named.map(({ name }) => name).sort());
    for (const file of named)
      expect(Buffer.compare(files.get(file.name)!, await file.async('nodebuffer')), file.name).toBe(0);
  });

  it('lets others have their turn, and stops where they want it to', async () => {
    let times = 0;
    await readZip(await archive('STORE'), fail, () => Promise.resolve(void times++));
    // A MiB at a time.
    expect(times).toBeGreaterThanOrEqual(3);
    const enough = new Error('enough');
    await expect(readZip(await archive('STORE'), fail, () => Promise.reject(enough))).rejects.toBe(enough);
  });

  it.each<[string, string, (bytes: Uint8Array) => Uint8Array]>([
    ['nothing', 'does not end', () => new Uint8Array()],
    ['a byte missing at its end', 'does not end', (bytes) => bytes.slice(0, -1)],
    [
      'a byte more before it',
      'directory is not where',
      (bytes) => new Uint8Array(Buffer.concat([Buffer.alloc(1), bytes])),
    ],
    ['other data', 'not what it was', (bytes) => flip(bytes, Math.floor(bytes.length / 2))],
    ['another checksum', 'not what it was', (bytes) => flip(bytes, directoryOf(bytes) + 16)],
    ['another size', 'bytes in place of', (bytes) => flip(bytes, directoryOf(bytes) + 24)],
    ['another name before its data', 'another file', (bytes) => flip(bytes, 31)],
    ['another name in its directory', 'another file', (bytes) => flip(bytes, directoryOf(bytes) + 47)],
    ['a file elsewhere', 'not where it is said', (bytes) => flip(bytes, directoryOf(bytes) + 42)],
    ['encryption', 'encrypted', (bytes) => flip(bytes, directoryOf(bytes) + 8)],
    ['another compression', 'another file', (bytes) => flip(bytes, directoryOf(bytes) + 10)],
    ['more files than it has', 'no entry 5', (bytes) => flip(flip(bytes, bytes.length - 12), bytes.length - 14)],
    ['several parts', 'one part of several', (bytes) => flip(bytes, bytes.length - 18)],
  ])('is refused with %s', async (_, message, change) => {
    const bytes = await archive('STORE');
    await expect(readZip(change(bytes), fail)).rejects.toThrow(message);
  });

  it('is refused where it unpacks to more than it says', async () => {
    const bytes = await archive('DEFLATE');
    const directory = directoryOf(bytes);
    // The text's size in the directory, which has the folder first.
    const at = Array.from({ length: bytes.length - directory }, (__, i) => directory + i).find(
      (place) => u32(bytes, place) === 0x02014b50 && u32(bytes, place + 24) > 1000,
    )!;
    await expect(readZip(flip(bytes, at + 25), fail)).rejects.toThrow(/broken|bytes in place of/);
  });
});

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const changed = bytes.slice();
  changed[at]! ^= 1;
  return changed;
}
