import { ModelDamagedError, ModelWeightsMissingError } from '../export/demo/errors.ts';
import {
  DESCRIPTION_PATH,
  isDescription,
  readDescription,
  type ModelDescription,
} from '../export/demo/modelDescription.ts';
import { checkWeights } from '../export/demo/readModel.ts';
import { ModelMissingError } from './errors.ts';

/** What the user knows the model by; nothing else is known yet. */
const NAME = 'model';

/** A host that doesn't answer is not waited for where the model is kept; ms. */
const PATIENCE = 4000;

/** The model's two files, kept in the browser's cache once they are here whole, so that the page needs no network for them. */
export interface ModelFiles {
  /** The host's, so that a model that was replaced is noticed; where the host doesn't give one, the one that is kept. */
  description(): Promise<ModelDescription>;
  /** Checked against the description. `onBytes` is told how many have arrived. */
  weights(onBytes: (done: number) => void): Promise<Uint8Array>;
  /** Both lie in the browser's cache. */
  kept(): boolean;
}

/** `folder`: of the page, ends in `/`. `caches`: undefined where the page isn't on a secure address. */
export function modelFiles(folder: string, caches: CacheStorage | undefined): ModelFiles {
  const address = new URL(DESCRIPTION_PATH, folder).href;
  const open = async (): Promise<Cache | undefined> => caches?.open(`pacerid-model ${folder}`);
  let text = '';
  let read: ModelDescription | null = null;
  let kept = false;

  const descriptionText = async (): Promise<string> => {
    const stored = await (await open())?.match(address);
    try {
      const signal = stored && AbortSignal.timeout(PATIENCE);
      const response = await fetch(address, { cache: 'no-cache', ...(signal && { signal }) });
      if (!response.ok) throw new Error(`the server answers ${response.status}`);
      const answer = await response.text();
      // A network's log-in page may stand in for the host.
      if (stored === undefined || isDescription(answer)) return answer;
    } catch (error) {
      if (stored === undefined)
        throw new ModelMissingError(DESCRIPTION_PATH, error instanceof Error ? error.message : String(error));
    }
    return stored.text();
  };

  return {
    description: async () => {
      text = await descriptionText();
      read = readDescription(text, NAME);
      return read;
    },
    weights: async (onBytes) => {
      if (read === null) throw new Error('The description comes first.');
      const description = read;
      const { file, sha256, bytes: total } = description.weights;
      const from = new URL(file, address);
      const key = new URL(from);
      key.searchParams.set('sha256', sha256);
      const cache = await open();
      const stored = await cache?.match(key);
      const before = stored && whole(new Uint8Array(await stored.arrayBuffer()), description);
      if (cache !== undefined && before) {
        // The weights may be as they were, and what is said of them not.
        kept = await put(cache, [address, text]);
        return before;
      }
      const bytes = await download(from.href, total, onBytes);
      checkWeights(bytes, description, NAME);
      kept = cache !== undefined && (await replaceAll(cache, [key.href, bytes], [address, text]));
      return bytes;
    },
    kept: () => kept,
  };
}

/** Undefined where these are other bytes. */
function whole(bytes: Uint8Array, description: ModelDescription): Uint8Array | undefined {
  try {
    checkWeights(bytes, description, NAME);
    return bytes;
  } catch (error) {
    if (error instanceof ModelDamagedError) return undefined;
    throw error;
  }
}

type Kept = readonly [address: string, body: BodyInit];

/** In place of what was kept before. The weights first: a description without them would be half a model. */
async function replaceAll(cache: Cache, weights: Kept, description: Kept): Promise<boolean> {
  for (const request of await cache.keys()) await cache.delete(request);
  return (await put(cache, weights)) && put(cache, description);
}

/** False where there is no room. */
async function put(cache: Cache, [address, body]: Kept): Promise<boolean> {
  try {
    await cache.put(address, new Response(body));
    return true;
  } catch {
    return false;
  }
}

async function download(
  address: string,
  total: number,
  onBytes: (done: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const path = new URL(address).pathname.split('/').slice(-2).join('/');
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let done = 0;
  try {
    const response = await fetch(address);
    if (response.status === 404) throw new ModelWeightsMissingError(NAME, path);
    if (!response.ok || response.body === null) throw new Error(`the server answers ${response.status}`);
    const reader = response.body.getReader();
    for (;;) {
      const { value } = await reader.read();
      if (value === undefined) break;
      parts.push(value);
      done += value.length;
      onBytes(Math.min(done, total));
    }
  } catch (error) {
    if (error instanceof ModelWeightsMissingError) throw error;
    throw new ModelMissingError(path, error instanceof Error ? error.message : String(error));
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
