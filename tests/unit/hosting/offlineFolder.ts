import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startProcess, type CliProcess } from '../support/cli.ts';

/** A few files of the kinds that a built page has, by path. */
export const pageFiles: Readonly<Record<string, string>> = {
  'index.html': '<!doctype html><title>page</title>',
  'manifest.webmanifest': '{}',
  'icon.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'assets/app-1.js': 'export {};',
  'assets/worker.mjs': 'export {};',
  'assets/app-1.css': 'a{}',
  'assets/tensors.wasm': '\0asm',
  'demo/index.html': '<!doctype html><title>demo</title>',
};

export function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'pacerid-hosting-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** The interpreter itself, which a version manager may stand in front of; null where there is no Python 3.7. */
export function findPython(): string | null {
  const code = 'import sys; print(sys.executable if sys.version_info >= (3, 7) else "")';
  const { status, stdout } = spawnSync('python3', ['-c', code], { encoding: 'utf8' });
  return status === 0 && stdout.trim() !== '' ? stdout.trim() : null;
}

/** The servers of a bundle that this computer can run. */
export function serversHere(): { name: string; program: string; script: string }[] {
  const python = findPython();
  const node = { name: 'Node', program: process.execPath, script: 'serve.mjs' };
  return python === null ? [node] : [node, { name: 'Python', program: python, script: 'serve.py' }];
}

export interface Serving {
  readonly url: string;
  readonly process: CliProcess;
}

/** Starts a server of the bundle in `out`, by default at a free port, and waits until it says where it is. */
export async function serve(
  out: string,
  { program, script }: { program: string; script: string },
  args: readonly string[] = ['--port', '0'],
): Promise<Serving> {
  const process = startProcess(program, [join(out, script), '--no-open', ...args], { cwd: tmpdir(), timeout: 300_000 });
  return { url: urlIn(await process.line(/^PacerID Studio is at/)), process };
}

export function urlIn(line: string): string {
  const url = / is at (https?:\/\/\S+\/)/.exec(line)?.[1];
  if (url === undefined) throw new Error(`No address in “${line}”.`);
  return url;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** The path goes out as it is written: `fetch` would tidy `..` away. */
export function ask(
  url: string,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Readonly<Record<string, string>> } = {},
): Promise<Answer> {
  const { hostname, port, protocol } = new URL(url);
  const request = protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const options = { hostname, port, path, method, headers, rejectUnauthorized: false, agent: false };
    const asked = request(options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(parts).toString('utf8'),
        }),
      );
    });
    asked.on('error', reject);
    asked.end();
  });
}
