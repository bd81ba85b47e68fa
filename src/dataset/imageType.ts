/** What a file is by its first bytes; names lie. */
export type ImageType = 'jpeg' | 'png' | 'webp';

export type Sniffed =
  | { readonly type: ImageType; readonly whole: boolean }
  /** `kind`: what it looks like, if that is known. */
  | { readonly type: null; readonly kind: string | null };

const others: readonly (readonly [kind: string, offset: number, bytes: string])[] = [
  ['GIF', 0, 'GIF8'],
  ['BMP', 0, 'BM'],
  ['TIFF', 0, 'II*\0'],
  ['TIFF', 0, 'MM\0*'],
  ['DICOM', 128, 'DICM'],
  ['HEIC', 4, 'ftyphei'],
  ['HEIC', 4, 'ftypmif1'],
  ['AVIF', 4, 'ftypavif'],
  ['PDF', 0, '%PDF'],
  ['zip', 0, 'PK\x03\x04'],
];

function has(bytes: Uint8Array, offset: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[offset + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** `whole`: the end that the format demands is there; decoders disagree on what to do with a file cut short. */
export function sniff(bytes: Uint8Array): Sniffed {
  if (has(bytes, 0, '\xff\xd8\xff')) return { type: 'jpeg', whole: jpegHasEnd(bytes) };
  if (has(bytes, 0, '\x89PNG\r\n\x1a\n')) return { type: 'png', whole: pngHasEnd(bytes) };
  if (has(bytes, 0, 'RIFF') && has(bytes, 8, 'WEBP')) {
    return { type: 'webp', whole: new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true) + 8 <= bytes.length };
  }
  return { type: null, kind: others.find(([, offset, text]) => has(bytes, offset, text))?.[0] ?? null };
}

/** Walks the segments to the first scan, then looks for the End Of Image marker (thumbnails before it have their own). */
function jpegHasEnd(bytes: Uint8Array): boolean {
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] as number;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker === 0xda) {
      for (let i = bytes.length - 2; i > at; i--) if (bytes[i] === 0xff && bytes[i + 1] === 0xd9) return true;
      return false;
    }
    at += 2 + (((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number));
  }
  // Not cut short but garbled, if there is more: the decoder's to refuse.
  return at + 4 <= bytes.length;
}

function pngHasEnd(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) if (has(bytes, at + 4, 'IEND')) return true;
  return false;
}
