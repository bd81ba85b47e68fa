import JSZip from 'jszip';

/** A zip in the making: equal content, added in the same order, gives equal bytes. */
export interface ReproducibleZip {
  /** Numbers hardly shrink: `STORE`, the default; texts do: `DEFLATE`. */
  add(path: string, content: Uint8Array | string, compression?: 'STORE' | 'DEFLATE'): void;
  /** An entry of its own for a folder; no reader needs one, but people see an empty name in lists without it. */
  addFolder(path: string): void;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
}

export function reproducibleZip(): ReproducibleZip {
  // The format's first date; and folders only where they are asked for: those that JSZip makes by itself bear the current time.
  const always = { date: new Date(Date.UTC(1980, 0, 1)), createFolders: false } as const;
  const zip = new JSZip();
  return {
    add: (path, content, compression = 'STORE') => void zip.file(path, content, { ...always, compression }),
    addFolder: (path) => void zip.file(path, null, { ...always, dir: true }),
    bytes: () => zip.generateAsync({ type: 'uint8array', platform: 'DOS' }) as Promise<Uint8Array<ArrayBuffer>>,
  };
}
