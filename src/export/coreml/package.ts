import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { reproducibleZip } from '../reproducibleZip.ts';

/**
 * The `.mlpackage` folder, zipped with the folder itself at the top. Layout: apple/coremltools, modelpackage/src/ModelPackage.cpp.
 * The same content gives the same bytes: identifiers come from the content, too. A certificate bears the hash of this zip, and versions
 * of the registry hold the folder: they are known for each other by being zipped again, so that these bytes may never become others.
 * `manifest`: that of a package that lies there; absent: a new one's.
 */
export function zipPackage(
  name: string,
  model: Uint8Array<ArrayBuffer>,
  weightFile: Uint8Array<ArrayBuffer>,
  manifest: Uint8Array | string = manifestText(model, weightFile),
): Promise<Uint8Array<ArrayBuffer>> {
  const top = `${name}.mlpackage/`;
  const data = `${top}Data/com.apple.CoreML/`;
  const zip = reproducibleZip();
  for (const folder of [top, `${top}Data/`, data, `${data}weights/`]) zip.addFolder(folder);
  zip.add(`${top}Manifest.json`, manifest, 'DEFLATE');
  // A program is repetitive text.
  zip.add(`${data}model.mlmodel`, model, 'DEFLATE');
  zip.add(`${data}weights/weight.bin`, weightFile);
  return zip.bytes();
}

function manifestText(model: Uint8Array, weightFile: Uint8Array): string {
  const content = `${bytesToHex(sha256(model))} ${checksum(weightFile)}`;
  const author = 'com.apple.CoreML';
  const modelId = identifier(`model ${content}`);
  const weightsId = identifier(`weights ${content}`);
  const entries = {
    [modelId]: {
      author,
      description: 'CoreML Model Specification',
      name: 'model.mlmodel',
      path: 'com.apple.CoreML/model.mlmodel',
    },
    [weightsId]: {
      author,
      description: 'CoreML Model Weights',
      name: 'weights',
      path: 'com.apple.CoreML/weights',
    },
  };
  const manifest = { fileFormatVersion: '1.0.0', itemInfoEntries: entries, rootModelIdentifier: modelId };
  return `${JSON.stringify(manifest, null, 4)}\n`;
}

/**
 * Of the weights; their length is a multiple of four. Enough to tell two packages' identifiers apart, for which SHA-256 would take
 * longer than all the rest of the writing: sixty-four bits, by multiplying each word in (the constants are MurmurHash3's).
 */
function checksum(bytes: Uint8Array): string {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  let [a, b] = [words.length, ~words.length];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number;
    a = Math.imul(a ^ word, 0xcc9e2d51);
    a ^= a >>> 15;
    b = Math.imul(b ^ word, 0x1b873593);
    b ^= b >>> 13;
  }
  return `${a >>> 0} ${b >>> 0}`;
}

/** A version 8 UUID (RFC 9562: custom, here a hash), in upper case as Apple's tools write them. */
function identifier(text: string): string {
  const bytes = sha256(new TextEncoder().encode(text)).slice(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return bytesToHex(bytes)
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    .toUpperCase();
}
