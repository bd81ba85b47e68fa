import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
  '.zip': 'application/zip',
};

export interface StaticSite {
  /** Of the folder; ends in `/`. */
  readonly url: string;
  /** Paths asked for, below the folder. */
  readonly asked: string[];
  /** Serves another folder from now on: a deployment. */
  serve(folder: string): void;
  close(): Promise<void>;
}

/** What a plain static host is: files from a sub-path, with their types and no header that would help the page. */
export async function staticSite(
  folder: string,
  {
    prefix = '/studio/',
    answer,
  }: { prefix?: string; answer?: (path: string, request: IncomingMessage, response: ServerResponse) => boolean } = {},
): Promise<StaticSite> {
  let root = folder;
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const path = decodeURIComponent(pathname.startsWith(prefix) ? pathname.slice(prefix.length) : '');
    asked.push(path);
    if (answer?.(path, request, response)) return;
    const file = join(root, normalize(`/${path === '' || path.endsWith('/') ? `${path}index.html` : path}`));
    void stat(file).then(
      (found) => {
        if (!pathname.startsWith(prefix) || !found.isFile()) return response.writeHead(404).end();
        response.writeHead(200, {
          'content-type': types[extname(file)] ?? 'application/octet-stream',
          'content-length': found.size,
        });
        if (request.method === 'HEAD') return response.end();
        return createReadStream(file).pipe(response);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://localhost:${port}${prefix}`,
    asked,
    serve: (next) => void (root = next),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
