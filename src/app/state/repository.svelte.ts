import { createStore, del, get, set } from 'idb-keyval';
import { problems } from './problems.svelte.ts';

/** File System Access, where the browser has it; TypeScript's DOM types leave it out. */
interface PickedFolder extends FileSystemDirectoryHandle {
  queryPermission(options: { mode: 'readwrite' }): Promise<PermissionState>;
  requestPermission(options: { mode: 'readwrite' }): Promise<PermissionState>;
}
interface Picker {
  showDirectoryPicker?(options: { id: string; mode: 'readwrite' }): Promise<PickedFolder>;
}

const KEY = 'repository';
/** Opened with the first question: an insecure page or a private window may have no database. */
let store: ReturnType<typeof createStore> | undefined;
const kept = (): ReturnType<typeof createStore> => (store ??= createStore('pacerid-page', 'values'));

let folder = $state.raw<PickedFolder | null>(null);
let allowed = $state(false);
let recalled = false;

/** The folder of the repository on this computer, picked once and remembered. */
export const repository = {
  /** Whether this browser lets a page write into a folder. */
  get supported(): boolean {
    return typeof (globalThis as Picker).showDirectoryPicker === 'function';
  },
  get folder(): FileSystemDirectoryHandle | null {
    return folder;
  },
  /** False: the browser wants to be asked again, with a click. */
  get allowed(): boolean {
    return allowed;
  },
  async recall(): Promise<void> {
    if (recalled || !repository.supported) return;
    recalled = true;
    const handle = await get<PickedFolder>(KEY, kept()).catch(() => undefined);
    if (!handle) return;
    allowed = (await handle.queryPermission({ mode: 'readwrite' }).catch(() => 'prompt')) === 'granted';
    folder = handle;
  },
  /** False where the user closed the dialog. */
  async pick(): Promise<boolean> {
    try {
      const picked = await (globalThis as Picker).showDirectoryPicker?.({
        id: 'pacerid-repository',
        mode: 'readwrite',
      });
      if (!picked) return false;
      folder = picked;
      allowed = true;
      // Where it cannot be kept it is picked again next time.
      await set(KEY, picked, kept()).catch(() => undefined);
      return true;
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'AbortError')) problems.showError(error);
      return false;
    }
  },
  /** Asks the browser's question again. */
  async allow(): Promise<boolean> {
    if (!folder) return false;
    allowed = (await folder.requestPermission({ mode: 'readwrite' }).catch(() => 'denied')) === 'granted';
    return allowed;
  },
  async forget(): Promise<void> {
    folder = null;
    allowed = false;
    await del(KEY, kept()).catch(() => undefined);
  },
};
