import JSZip from 'jszip';

/**
 * A zip with one folder at its top. Equal content gives equal bytes: every entry bears the zip format's first date. Numbers hardly shrink, and
 * are stored (`Uint8Array`); texts are deflated.
 */
export async function zipFolder(
  folder: string,
  files: ReadonlyMap<string, Uint8Array | string>,
): Promise<Uint8Array<ArrayBuffer>> {
  const date = new Date(Date.UTC(1980, 0, 1));
  const zip = new JSZip();
  // By hand: the folder that JSZip makes by itself bears the current time.
  zip.file(`${folder}/`, null, { dir: true, date, createFolders: false });
  for (const [name, content] of files) {
    const compression = typeof content === 'string' ? 'DEFLATE' : 'STORE';
    zip.file(`${folder}/${name}`, content, { date, createFolders: false, compression });
  }
  return zip.generateAsync({ type: 'uint8array', platform: 'DOS' }) as Promise<Uint8Array<ArrayBuffer>>;
}
