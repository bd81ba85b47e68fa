import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { z } from '../../zod.ts';
import { DemoPageMissingError } from './errors.ts';

/** The page that a model is put into, as the build lists it: bytes by path. */
export type DemoPage = ReadonlyMap<string, Uint8Array>;

const list = z.object({
  files: z.array(z.object({ path: z.string().min(1), bytes: z.int().nonnegative(), sha256: z.string() })).min(1),
});

/**
 * `read`: a file of the built folder, by its path there; rejects where it can't be had. What a host or a proxy changed on the way is
 * not handed on. Throws `DemoPageMissingError`.
 */
export async function readDemoPage(read: (path: string) => Promise<Uint8Array>): Promise<DemoPage> {
  const get = async (path: string): Promise<Uint8Array> => {
    try {
      return await read(path);
    } catch (error) {
      throw new DemoPageMissingError(path, error instanceof Error ? error.message : String(error), error);
    }
  };
  const page = new Map<string, Uint8Array>();
  for (const file of listed(await get('files.json'))) {
    const bytes = await get(file.path);
    if (bytesToHex(sha256(bytes)) !== file.sha256)
      throw new DemoPageMissingError(file.path, 'it is not the file that was built');
    page.set(file.path, bytes);
  }
  return page;
}

function listed(bytes: Uint8Array): z.infer<typeof list>['files'] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new DemoPageMissingError('files.json', 'it is not JSON', error);
  }
  const checked = list.safeParse(value);
  if (!checked.success) throw new DemoPageMissingError('files.json', 'it is no list of files');
  return checked.data.files;
}
