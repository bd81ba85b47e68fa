import { afterEach, expect, it, vi } from 'vitest';
import { modelFiles } from '../../../src/demo/modelFiles.ts';
import { modelDescription } from '../support/modelDescription.ts';

const folder = 'https://host.test/demo/';
const weights = new Uint8Array([1, 2, 3, 4]);
const described = (name: string): string => JSON.stringify(modelDescription(weights, { name }));

/** Node has no caches: one, by address. */
function memoryCaches(): CacheStorage {
  const kept = new Map<string, Uint8Array<ArrayBuffer>>();
  const address = (request: RequestInfo | URL): string => (request instanceof Request ? request.url : String(request));
  const cache = {
    match: (request: RequestInfo | URL) => {
      const bytes = kept.get(address(request));
      return Promise.resolve(bytes && new Response(bytes));
    },
    put: async (request: RequestInfo | URL, response: Response) =>
      void kept.set(address(request), new Uint8Array(await response.arrayBuffer())),
    keys: () => Promise.resolve([...kept.keys()].map((url) => new Request(url))),
    delete: (request: RequestInfo | URL) => Promise.resolve(kept.delete(address(request))),
  };
  return { open: () => Promise.resolve(cache) } as unknown as CacheStorage;
}

afterEach(() => vi.unstubAllGlobals());

it('what is kept is what was shown last, also where only the words about a model changed', async () => {
  const caches = memoryCaches();
  let asked: string[] = [];
  const visit = async (host: Readonly<Record<string, BodyInit>> | null): Promise<string> => {
    asked = [];
    vi.stubGlobal('fetch', (address: string) => {
      asked.push(address.slice(folder.length));
      const body = host?.[address.slice(folder.length)];
      return body === undefined ? Promise.reject(new TypeError('no network')) : Promise.resolve(new Response(body));
    });
    const files = modelFiles(folder, caches);
    const { name } = await files.description();
    expect(await files.weights(() => undefined)).toEqual(weights);
    expect(files.kept()).toBe(true);
    return name;
  };
  expect(await visit({ 'model/model.json': described('First'), 'model/weights.safetensors': weights })).toBe('First');
  expect(await visit(null)).toBe('First');
  expect(await visit({ 'model/model.json': described('Second') })).toBe('Second');
  expect(asked).toEqual(['model/model.json']);
  expect(await visit(null)).toBe('Second');
});

it('a host that gives no description of a model doesn’t take away the one that is kept', async () => {
  const caches = memoryCaches();
  const visit = async (answer: () => Promise<Response>): Promise<string> => {
    vi.stubGlobal('fetch', (address: string) =>
      address.endsWith('weights.safetensors') ? Promise.resolve(new Response(weights)) : answer(),
    );
    const files = modelFiles(folder, caches);
    const { name } = await files.description();
    await files.weights(() => undefined);
    return name;
  };
  await visit(() => Promise.resolve(new Response(described('Kept'))));
  expect(await visit(() => Promise.resolve(new Response('', { status: 503 })))).toBe('Kept');
  expect(await visit(() => Promise.resolve(new Response('<title>Please log in</title>')))).toBe('Kept');
});
