import { readFolderInput } from '../../drop.ts';
import { receive } from '../../receive.ts';
import { problems } from '../../state/problems.svelte.ts';

/** Opens the system's file dialog; what is chosen goes the same way as what is dropped. */
export function chooseFiles(what: 'zip' | 'folder'): void {
  const input = document.createElement('input');
  input.type = 'file';
  if (what === 'zip') input.accept = '.zip,application/zip';
  else input.webkitdirectory = true;
  input.addEventListener('change', () => {
    const list = input.files;
    if (!list?.length) return;
    const dropped =
      what === 'folder'
        ? readFolderInput(list)
        : { files: [...list].map((file) => ({ path: file.name, file })), folder: null };
    receive(dropped).catch(problems.showError);
  });
  input.click();
}
