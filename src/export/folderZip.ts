import { reproducibleZip } from './reproducibleZip.ts';

/** A zip with one folder at its top. Numbers (`Uint8Array`) are stored, texts deflated. */
export function zipFolder(
  folder: string,
  files: ReadonlyMap<string, Uint8Array | string>,
): Promise<Uint8Array<ArrayBuffer>> {
  const zip = reproducibleZip();
  zip.addFolder(`${folder}/`);
  for (const [name, content] of files)
    zip.add(`${folder}/${name}`, content, typeof content === 'string' ? 'DEFLATE' : 'STORE');
  return zip.bytes();
}
