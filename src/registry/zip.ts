import JSZip from 'jszip';
import { joined, pathInside } from './paths.ts';
import { NOTES, type Registry } from './registry.ts';

/**
 * What `syncVersion` would write, as a zip: `models/versions/…`, `models/current`, and the package under `iosDir`. `version` null: all whole
 * versions and what is current, without a package. Equal content gives equal bytes.
 */
export async function versionsZip(
  registry: Registry,
  version: string | null,
  iosDir: string,
): Promise<{ readonly fileName: string; readonly bytes: Uint8Array<ArrayBuffer> }> {
  const zip = new JSZip();
  const add = (path: string, content: Uint8Array | string): unknown =>
    zip.file(path, content, { date: new Date(Date.UTC(1980, 0, 1)), createFolders: false });
  const versions = version === null ? (await registry.list()).versions.map((one) => one.version).reverse() : [version];
  let current = await registry.current();
  for (const name of versions) {
    const { record, files, notes } = await registry.open(name);
    const folder = `models/versions/${record.version}`;
    for (const [path, bytes] of files) add(`${folder}/${path}`, bytes);
    if (notes !== '') add(`${folder}/${NOTES}`, notes);
    if (version === null) continue;
    current = record.version;
    const top = `${record.modelName}.mlpackage/`;
    for (const [path, bytes] of files) if (path.startsWith(top)) add(joined(pathInside(iosDir), path), bytes);
  }
  if (current !== null) add('models/current', `${current}\n`);
  return {
    fileName: version === null ? 'models.zip' : `models-${current ?? version}.zip`,
    // Weights hardly shrink.
    bytes: (await zip.generateAsync({ type: 'uint8array', platform: 'DOS' })) as Uint8Array<ArrayBuffer>,
  };
}
