import { UserError } from '../../errors.ts';
import type { Folder } from '../../registry/types.ts';

/** The folder that the user picked can't be read or written now. */
export class PickedFolderError extends UserError {
  constructor(name: string, cause: DOMException) {
    super(`The folder “${name}” can't be used: ${reasons[cause.name] ?? cause.message}.`, {
      kept: 'Files that were finished before are whole; the file under way is as it was. Nothing in this browser was changed.',
      remedy:
        'Pick the folder again and allow this page to change files in it; or download the zip and unpack it there.',
      cause,
    });
  }
}

const reasons: Readonly<Record<string, string>> = {
  NotAllowedError: 'this page may not change files in it any more',
  NotFoundError: 'it was moved or deleted',
  QuotaExceededError: 'its disk is full',
  NoModificationAllowedError: 'another program or tab holds a file in it',
  InvalidStateError: 'it was changed by another program meanwhile',
  TypeMismatchError: 'a file lies where a folder is needed, or the other way round',
};

const isMissing = (error: unknown): boolean =>
  error instanceof DOMException && (error.name === 'NotFoundError' || error.name === 'TypeMismatchError');

/** A folder of the computer (File System Access), or of the page's own file system. A file is swapped in when it is whole; folders can't be renamed. */
export function pickedFolder(root: FileSystemDirectoryHandle): Folder {
  const directory = async (names: readonly string[], create: boolean): Promise<FileSystemDirectoryHandle> => {
    let at = root;
    for (const name of names) at = await at.getDirectoryHandle(name, { create });
    return at;
  };
  const split = (path: string): { above: string[]; name: string } => {
    const names = path.split('/');
    return { above: names.slice(0, -1), name: names.at(-1) as string };
  };
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof DOMException) throw new PickedFolderError(root.name, error);
      throw error;
    }
  };
  /** What isn't there; but the picked folder itself must be. */
  const orNone = async <T>(work: () => Promise<T>, none: T): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!isMissing(error)) throw error;
      await root.keys().next();
      return none;
    }
  };
  return {
    list: (path) =>
      guarded(() =>
        orNone(async () => {
          const names: string[] = [];
          const folder = await directory(path === '' ? [] : path.split('/'), false);
          for await (const [name, { kind }] of folder.entries()) names.push(kind === 'directory' ? `${name}/` : name);
          return names.sort();
        }, []),
      ),
    read: (path) =>
      guarded(() =>
        orNone(async () => {
          const { above, name } = split(path);
          const file = await (await (await directory(above, false)).getFileHandle(name)).getFile();
          return new Uint8Array(await file.arrayBuffer());
        }, undefined),
      ),
    write: (path, bytes) =>
      guarded(async () => {
        const { above, name } = split(path);
        const handle = await (await directory(above, true)).getFileHandle(name, { create: true });
        const writable = await handle.createWritable();
        try {
          await writable.write(bytes);
          await writable.close();
        } catch (error) {
          await writable.abort().catch(() => undefined);
          throw error;
        }
      }),
    remove: (path) =>
      guarded(() =>
        orNone(async () => {
          const { above, name } = split(path);
          await (await directory(above, false)).removeEntry(name, { recursive: true });
        }, undefined),
      ),
  };
}
