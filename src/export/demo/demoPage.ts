import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { z } from '../../zod.ts';
import { DemoPageMissingError } from './errors.ts';

/** The page that a model is put into, as the build lists it: bytes by path. */
export type DemoPage = ReadonlyMap<string, Uint8Array>;

const list = z.object({
  files: z.array(z.object({ path: z.string().min(1), bytes: z.int().nonnegative(), sha256: z.string() })).min(1),
});

/** The built folder, wherever it lies. */
export interface DemoFolder {
  /** By the path in it; rejects where it can't be had. */
  read(path: string): Promise<Uint8Array>;
  /** What to do then. */
  readonly remedy: string;
}

/** What a host or a proxy changed on the way is not handed on. Throws `DemoPageMissingError`. */
export async function readDemoPage(folder: DemoFolder): Promise<DemoPage> {
  const { remedy } = folder;
  const get = async (path: string): Promise<Uint8Array> => {
    try {
      return await folder.read(path);
    } catch (error) {
      throw new DemoPageMissingError(path, error instanceof Error ? error.message : String(error), remedy, error);
    }
  };
  const page = new Map<string, Uint8Array>();
  for (const file of listed(await get('files.json'), remedy)) {
    const bytes = await get(file.path);
    if (bytesToHex(sha256(bytes)) !== file.sha256)
      throw new DemoPageMissingError(file.path, 'it is not the file that was built', remedy);
    page.set(file.path, bytes);
  }
  return page;
}

function listed(bytes: Uint8Array, remedy: string): z.infer<typeof list>['files'] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new DemoPageMissingError('files.json', 'it is not JSON', remedy, error);
  }
  const checked = list.safeParse(value);
  if (!checked.success) throw new DemoPageMissingError('files.json', 'it is no list of files', remedy);
  return checked.data.files;
}
