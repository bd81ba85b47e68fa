import { reproducibleZip } from '../export/reproducibleZip.ts';
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
  const zip = reproducibleZip();
  const { record, files, notes } = await registry.open(version);
  const folder = `models/versions/${record.version}`;
  for (const [path, bytes] of files) zip.add(`${folder}/${path}`, bytes);
  if (notes !== '') zip.add(`${folder}/${NOTES}`, notes);
  const top = `${record.modelName}.mlpackage/`;
  for (const [path, bytes] of files) if (path.startsWith(top)) zip.add(joined(pathInside(iosDir), path), bytes);
  zip.add('models/current', `${record.version}\n`);
  return {
    fileName: `models-${record.version}${proofProblem(record) === null ? '' : '-unproven'}.zip`,
    bytes: await zip.bytes(),
  };
}
