import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeBundle } from '../../../scripts/bundle.mjs';
import { policyHeaders } from '../../../src/serviceWorker/policy.ts';
import { startProcess } from '../support/cli.ts';
import { ask, findPython, folderOf, pageFiles, serve, serversHere, urlIn, type Serving } from './offlineFolder.ts';

const html = 'text/html; charset=utf-8';
const script = 'text/javascript; charset=utf-8';

/** What is asked, and what either server answers: status, type or place, body. */
const questions: readonly (readonly [string, number, string | undefined, string?])[] = [
  ['/', 200, html, pageFiles['index.html']],
  ['/?training.epochs=3', 200, html, pageFiles['index.html']],
  ['/index.html', 200, html, pageFiles['index.html']],
  ['/assets/app-1.js', 200, script, 'export {};'],
  ['/assets/app-1.js?a=/../b', 200, script, 'export {};'],
  ['/assets/worker.mjs', 200, script],
  ['/assets/app-1.css', 200, 'text/css; charset=utf-8'],
  ['/assets/tensors.wasm', 200, 'application/wasm', '\0asm'],
  ['/manifest.webmanifest', 200, 'application/manifest+json'],
  ['/icon.svg', 200, 'image/svg+xml'],
  ['/weights/tiny.safetensors', 200, 'application/octet-stream'],
  ['/sets/Bilder%20vom%20M%C3%A4rz.zip', 200, 'application/zip', 'a zip'],
  ['/demo/', 200, html, pageFiles['demo/index.html']],
  ['/demo', 301, '/demo/'],
  ['/demo?top=5', 301, '/demo/?top=5'],
  ['/assets', 404, undefined],
  ['/assets/', 404, undefined],
  ['/index.html/', 404, undefined],
  ['/nothing.js', 404, undefined],
  ['/../serve.json', 404, undefined],
  ['/assets/../../serve.json', 404, undefined],
  ['/%2e%2e/serve.json', 404, undefined],
  ['/..%2fserve.json', 404, undefined],
  ['/..%5cserve.json', 404, undefined],
  ['/%252e%252e/serve.json', 404, undefined],
  ['/./index.html', 404, undefined],
  ['//etc/passwd', 404, undefined],
  // To a browser `//demo/` is another host.
  ['//demo', 404, undefined],
  ['//demo/', 404, undefined],
  ['/%2fdemo', 404, undefined],
  ['/C:/Windows/win.ini', 404, undefined],
  ['/.hidden', 404, undefined],
  ['/index.html%00.js', 404, undefined],
  ['/%ff', 404, undefined],
  ['/%', 404, undefined],
  ['http://elsewhere.test/index.html', 404, undefined],
];
const table = questions.map(([path, status, place, body]) => ({ path, status, place, body }));

/** Without what differs from moment to moment, or says how a connection is kept. */
function lasting({ date: _, connection: __, 'keep-alive': ___, ...rest }: IncomingHttpHeaders): IncomingHttpHeaders {
  return rest;
}

let out = '';
beforeAll(async () => {
  const dist = folderOf(pageFiles);
  const files = folderOf({ 'tiny.safetensors': 'weights', 'Bilder vom März.zip': 'a zip' });
  out = mkdtempSync(join(tmpdir(), 'pacerid-hosting-'));
  const beside = [
    ['weights', join(files, 'tiny.safetensors')],
    ['sets', join(files, 'Bilder vom März.zip')],
  ];
  await writeBundle({ out, dist, beside, headers: { ...policyHeaders, 'Cache-Control': 'no-cache' } });
  writeFileSync(join(out, 'page', '.hidden'), 'not for everyone');
  for (const folder of [dist, files]) rmSync(folder, { recursive: true });
});
afterAll(() => rmSync(out, { recursive: true, force: true }));

const servers = serversHere();
if (findPython() === null) it.skip('serve.py: there is no python3 here', () => undefined);

describe.each(servers)('the server for $name', (kind) => {
  let serving: Serving;
  beforeAll(async () => void (serving = await serve(out, kind)));
  afterAll(() => serving.process.kill());

  it.each(table)('answers $path with $status', async ({ path, status, place, body }) => {
    const found = await ask(serving.url, path);
    expect(found.status).toBe(status);
    expect(found.headers[status === 301 ? 'location' : 'content-type']).toBe(place);
    if (status === 200) expect(Number(found.headers['content-length'])).toBe(Buffer.byteLength(found.body));
    else expect(found.body).toBe('');
    if (body !== undefined) expect(found.body).toBe(body);
    expect(found.headers['cache-control']).toBe('no-cache');
    for (const [name, value] of Object.entries(policyHeaders)) expect(found.headers[name.toLowerCase()]).toBe(value);

    const head = await ask(serving.url, path, { method: 'HEAD' });
    expect([head.status, lasting(head.headers)]).toEqual([found.status, lasting(found.headers)]);
    expect(head.body).toBe('');
  });

  it('only reads: any other method is refused, and the server goes on', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND']) {
      const { status, headers } = await ask(serving.url, '/index.html', { method });
      expect([status, headers.allow]).toEqual([405, 'GET, HEAD']);
    }
    expect((await ask(serving.url, '/')).status).toBe(200);
  });

  it('says that a file is unchanged, and sends it again once it is changed', async () => {
    const { headers } = await ask(serving.url, '/icon.svg');
    const again = { headers: { 'If-None-Match': headers.etag ?? '' } };
    const unchanged = await ask(serving.url, '/icon.svg', again);
    expect([unchanged.status, unchanged.body]).toEqual([304, '']);
    const file = join(out, 'page', 'icon.svg');
    utimesSync(file, new Date(), new Date(statSync(file).mtimeMs + 5000));
    expect((await ask(serving.url, '/icon.svg', again)).status).toBe(200);
  });

  it('is there for this computer alone unless told otherwise', () => {
    expect(new URL(serving.url).hostname).toBe('127.0.0.1');
  });

  it('started again, says where it is already; beside another program it takes the next port', async () => {
    const { port } = new URL(serving.url);
    for (const again of servers) {
      const second = await startProcess(again.program, [join(out, again.script), '--no-open', '--port', port]).ended;
      expect(second).toMatchObject({ code: 0, stderr: '' });
      expect(second.stdout).toBe(`PacerID Studio is at ${serving.url} already.\n`);
    }
    const other = createServer((socket) => socket.resume().end('not HTTP'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const taken = (other.address() as AddressInfo).port;
    const beside = await serve(out, kind, ['--port', String(taken)]);
    expect(Number(new URL(beside.url).port)).toBeGreaterThan(taken);
    expect(beside.process.stdout).toContain(`Port ${taken} is taken.`);
    beside.process.kill();
    await new Promise((resolve) => other.close(resolve));
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('ends well on %s', async (signal) => {
    const one = await serve(out, kind);
    await ask(one.url, '/');
    one.process.signal(signal);
    expect(await one.process.ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('refuses what it does not understand', async () => {
    const mistakes = [
      ['--port', 'x'],
      ['--port', '65516'],
      ['--port', '-1'],
      ['--cert', 'a.pem'],
      ['--frobnicate'],
      ['page'],
    ];
    for (const args of mistakes) {
      const { code, stderr, stdout } = await startProcess(kind.program, [join(out, kind.script), ...args]).ended;
      expect([args, code, stdout]).toEqual([args, 2, '']);
      expect(stderr).toMatch(/--cert FILE/);
      expect(stderr.length).toBeLessThan(400);
    }
  });

  it('says in one line why it cannot start', async () => {
    const [alone, nowhere] = [folderOf({}), ['--host', '203.0.113.7', '--port', '0']];
    copyFileSync(join(out, kind.script), join(alone, kind.script));
    const lines = [
      [[join(alone, kind.script)], /There is no page in .*: copy the whole folder\./],
      [[join(out, kind.script), ...nowhere], /^203\.0\.113\.7, port 0, can't be used: /],
      [[join(out, kind.script), '--cert', 'no.pem', '--key', 'no.pem'], /^The certificate can't be used: /],
    ] as const;
    for (const [args, sentence] of lines) {
      const { code, stderr } = await startProcess(kind.program, args).ended;
      expect(code).toBe(1);
      expect(stderr).toMatch(sentence);
      expect(stderr.trimEnd()).not.toContain('\n');
    }
    rmSync(alone, { recursive: true });
  });

  const openssl = spawnSync('openssl', ['version']).status === 0;
  it.skipIf(!openssl)('speaks TLS with a certificate, and says that it does', async () => {
    const folder = folderOf({});
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const subject = ['-subj', '/CN=localhost', '-days', '1', '-nodes'];
    spawnSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-keyout', key, '-out', cert, ...subject]);
    const secure = await serve(out, kind, ['--port', '0', '--cert', cert, '--key', key]);
    expect(secure.url).toMatch(/^https:\/\/127\.0\.0\.1:/);
    // One that never shakes hands holds up nobody.
    const silent = connect(Number(new URL(secure.url).port), '127.0.0.1');
    await new Promise((resolve) => silent.once('connect', resolve));
    expect((await ask(secure.url, '/assets/tensors.wasm')).headers['content-type']).toBe('application/wasm');
    silent.destroy();
    secure.process.kill();
    rmSync(folder, { recursive: true });
  });
});

it('the two answer alike, header by header', async () => {
  const both = await Promise.all(servers.map((kind) => serve(out, kind)));
  const answers = await Promise.all(
    both.map(({ url }) =>
      Promise.all(
        table.map(async ({ path }) => {
          const { status, headers, body } = await ask(url, path);
          return { path, status, headers: lasting(headers), body };
        }),
      ),
    ),
  );
  for (const one of answers) expect(one).toEqual(answers[0]);
  for (const { process } of both) process.kill();
});

describe.skipIf(process.platform === 'win32')('start.sh', () => {
  /** A computer that has these programs and no others. */
  const computerWith = (programs: Readonly<Record<string, string>>): string => {
    const bin = mkdtempSync(join(tmpdir(), 'pacerid-hosting-'));
    for (const name of ['sh', 'dirname', 'uname']) {
      const path = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
      symlinkSync(path, join(bin, name));
    }
    for (const [name, path] of Object.entries(programs)) symlinkSync(path, join(bin, name));
    return bin;
  };
  const script = (text: string): string => join(folderOf({ run: `#!/bin/sh\n${text}\n` }), 'run');
  const begin = (bin: string) =>
    startProcess('/bin/sh', [join(out, 'start.sh'), '--no-open', '--port', '0'], { cwd: '/', env: { PATH: bin } });

  it.each([
    ['Node', { node: process.execPath }],
    ...(findPython() === null ? [] : ([['Python', { python3: findPython() ?? '' }]] as const)),
  ] as const)('finds %s', async (_, programs) => {
    const started = begin(computerWith(programs));
    expect((await ask(urlIn(await started.line(/ is at /)), '/')).status).toBe(200);
    started.kill();
  });

  it('takes a Node that was unpacked beside it', async () => {
    mkdirSync(join(out, 'node', 'bin'), { recursive: true });
    symlinkSync(process.execPath, join(out, 'node', 'bin', 'node'));
    const started = begin(computerWith({}));
    expect((await ask(urlIn(await started.line(/ is at /)), '/')).status).toBe(200);
    started.kill();
    rmSync(join(out, 'node'), { recursive: true });
  });

  it('without either, or with old ones, it says what to do', async () => {
    const old = script('exit 1');
    chmodSync(old, 0o755);
    const nothing = await begin(computerWith({})).ended;
    expect(nothing).toMatchObject({ code: 1, stderr: '' });
    expect(nothing.stdout).toMatch(/found neither\.\nNothing has to be installed/);
    const outdated = await begin(computerWith({ node: old, python3: old })).ended;
    expect(outdated.stdout).toMatch(/The Node that is here is too old\. The Python that is here is too old\./);
  });
});
