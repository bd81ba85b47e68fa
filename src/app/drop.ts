import type { NamedFile } from '../workers/protocol.ts';

/** What was dropped or chosen, before anybody has looked into it. */
export interface Dropped {
  readonly files: readonly NamedFile[];
  /** Name of the folder, if one was dropped; null for loose files. */
  readonly folder: string | null;
}

/**
 * Files of a drop, folders walked to the bottom. Must be called in the drop event itself: the browser empties the
 * DataTransfer afterwards.
 */
export function readDrop(transfer: DataTransfer): Promise<Dropped> {
  const entries = [...transfer.items].flatMap((item) => {
    const entry = item.kind === 'file' ? item.webkitGetAsEntry() : null;
    return entry ? [entry] : [];
  });
  const loose = [...transfer.files];
  return walk(entries, loose);
}

async function walk(entries: readonly FileSystemEntry[], loose: readonly File[]): Promise<Dropped> {
  const folder = entries.find((entry) => entry.isDirectory);
  if (!folder) return { files: loose.map((file) => ({ path: file.name, file })), folder: null };
  const files: NamedFile[] = [];
  const queue = [...entries];
  for (let entry = queue.shift(); entry; entry = queue.shift()) {
    if (entry.isDirectory) queue.push(...(await listFolder(entry as FileSystemDirectoryEntry)));
    else files.push({ path: entry.fullPath.replace(/^\//, ''), file: await fileOf(entry as FileSystemFileEntry) });
  }
  return { files, folder: folder.name };
}

/** `readEntries` hands out at most a hundred at a time, and nothing once it is through. */
async function listFolder(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** Files of `<input type="file" webkitdirectory>`. */
export function readFolderInput(list: FileList): Dropped {
  const files = [...list].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
  return { files, folder: files[0]?.path.split('/')[0] ?? 'Folder' };
}
