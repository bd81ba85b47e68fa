import JSZip from 'jszip';

/** The data set as Kaggle serves it, small: `Pacemakers/{Train,Test}/<class>/…`, files of random bytes that nothing compresses. */
export const pacemakers: Readonly<Record<string, number>> = {
  'Pacemakers/Train/Biotronik Actros': 4,
  'Pacemakers/Train/Medtronic Advisa': 3,
  'Pacemakers/Train/Zürich Ünité': 2,
  'Pacemakers/Test/Biotronik Actros': 2,
  'Pacemakers/Test/Medtronic Advisa': 1,
  'Pacemakers/Test/Zürich Ünité': 1,
};

/** Path → bytes, the same each time. */
export function filesOf(folders: Readonly<Record<string, number>>, bytes = 30_000): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let state = 1;
  for (const [folder, count] of Object.entries(folders)) {
    for (let i = 0; i < count; i++) {
      const content = new Uint8Array(bytes);
      for (let k = 0; k < bytes; k++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        content[k] = state >>> 24;
      }
      files.set(`${folder}/${i}.jpg`, content);
    }
  }
  return files;
}

export async function zipOf(files: ReadonlyMap<string, Uint8Array>): Promise<Uint8Array> {
  const zip = new JSZip();
  const date = new Date('2020-03-04T00:00:00Z');
  for (const [path, content] of files) zip.file(path, content, { date });
  return zip.generateAsync({ type: 'uint8array', compression: 'STORE' });
}
