import JSZip from 'jszip';
import { joined, pathInside } from './paths.ts';
import { proofProblem } from './proof.ts';
import { NOTES, type Registry } from './registry.ts';

/**
 * What `syncVersion` would write, as a zip: `models/versions/…`, `models/current`, and the package under `iosDir`. Equal content gives
 * equal bytes. A version without a certificate that passed is called unproven in the zip's name.
 */
export async function versionsZip(
  registry: Registry,
  version: string,
  iosDir: string,
): Promise<{ readonly fileName: string; readonly bytes: Uint8Array<ArrayBuffer> }> {
  const zip = new JSZip();
  const add = (path: string, content: Uint8Array | string): unknown =>
    zip.file(path, content, { date: new Date(Date.UTC(1980, 0, 1)), createFolders: false });
  const { record, files, notes } = await registry.open(version);
  const folder = `models/versions/${record.version}`;
  for (const [path, bytes] of files) add(`${folder}/${path}`, bytes);
  if (notes !== '') add(`${folder}/${NOTES}`, notes);
  const top = `${record.modelName}.mlpackage/`;
  for (const [path, bytes] of files) if (path.startsWith(top)) add(joined(pathInside(iosDir), path), bytes);
  add('models/current', `${record.version}\n`);
  return {
    fileName: `models-${record.version}${proofProblem(record) === null ? '' : '-unproven'}.zip`,
    // Weights hardly shrink.
    bytes: (await zip.generateAsync({ type: 'uint8array', platform: 'DOS' })) as Uint8Array<ArrayBuffer>,
  };
}
