import { readFolderInput } from '../../drop.ts';
import { imagesOfZip, type Images } from '../../receive.ts';
import { problems } from '../../state/problems.svelte.ts';

/** Opens the system's file dialog and hands on what was chosen. */
export function chooseFiles(what: 'zip' | 'folder', then: (images: Images) => Promise<void>): void {
  const input = document.createElement('input');
  input.type = 'file';
  if (what === 'zip') input.accept = '.zip,application/zip';
  else input.webkitdirectory = true;
  input.addEventListener('change', () => {
    const list = input.files;
    const first = list?.[0];
    if (!first) return;
    const { files, folder } = readFolderInput(list);
    const images = what === 'zip' ? imagesOfZip(first.name, first) : { files, name: folder ?? 'Folder', source: what };
    then(images).catch(problems.showError);
  });
  input.click();
}
