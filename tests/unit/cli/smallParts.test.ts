import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchWeights } from '../../../src/cli/fetchWeights.ts';
import { reporter } from '../../../src/cli/reporter.ts';
import { terminal } from '../../../src/cli/terminal.ts';
import { labelsIn } from '../../../src/cli/weights.ts';
import { readSafetensorsMetadata, writeSafetensors } from '../../../src/weights/safetensors.ts';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'cli-parts-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('commands that start at the same time build one whole bundle', async () => {
  const name = `test-${process.pid}`;
  const code = `import('./scripts/bundle-cli.mjs').then(async (b) => console.log(await b.cachedBundle('src/cli/words.ts', '${name}')))`;
  const home = join('.cache', 'bundles', name);
  try {
    const started = await Promise.all(
      [1, 2, 3].map(() => promisify(execFile)(process.execPath, ['--input-type=module', '-e', code])),
    );
    const paths = started.map(({ stdout }) => stdout.trim());
    expect(new Set(paths).size).toBe(1);
    expect(readFileSync(paths[0] ?? '', 'utf8')).toContain('function percent');
    // Neither half-built ones nor marks of processes that have ended.
    expect(readdirSync(home)).toHaveLength(1);
    expect(readdirSync(join(paths[0] ?? '', '..')).some((file) => file.startsWith('used-by-'))).toBe(false);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

describe('fetch-weights', () => {
  const bytes = writeSafetensors(new Map([['a', { shape: [2], data: Float32Array.of(1, 2) }]]), { format: 'pt' });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/whole') response.end(bytes);
      else if (request.url === '/torch') response.end(readFileSync('tests/fixtures/pytorch/state_dict.pt'));
      else response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  const fetchInto = async (path: string, address: string, checksum: string | null): Promise<string> => {
    let text = '';
    const out = terminal({ write: (some) => (text += some) });
    const source = { name: 'hub/model', url: address, sha256: checksum, bytes: null, license: 'MIT' };
    await fetchWeights('resnet50', path, out, { fetch, sources: [source] });
    return text;
  };

  it('writes the file that has the checksum, and says so', async () => {
    const path = join(folder, 'weights', 'resnet50.safetensors');
    expect(await fetchInto(path, `${url}/whole`, sha256)).toContain(`SHA-256 ${sha256}, as expected.`);
    expect(new Uint8Array(readFileSync(path))).toEqual(bytes);
    expect(await fetchInto(path, `${url}/whole`, null)).toContain('unverified');
  });

  it('writes into what it converts which epsilon its batch norms have, and where it came from', async () => {
    const path = join(folder, 'converted', 'mobilenet_v3_small.safetensors');
    const source = { name: 'theirs', url: `${url}/torch`, sha256: null, bytes: null, license: 'MIT' };
    const out = terminal({ write: () => undefined });
    await fetchWeights('mobilenet_v3_small', path, out, { fetch, sources: [source] });
    expect(readSafetensorsMetadata(readFileSync(path))).toEqual({
      format: 'pt',
      source: `${url}/torch`,
      batch_norm_eps: '0.001',
    });
  });

  it('leaves nothing where the checksum differs or there is no such file', async () => {
    const path = join(folder, 'none', 'resnet50.safetensors');
    await expect(fetchInto(path, `${url}/whole`, '0'.repeat(64))).rejects.toMatchObject({ name: 'ChecksumError' });
    await expect(fetchInto(path, `${url}/gone`, null)).rejects.toMatchObject({
      name: 'WeightsNotFetchedError',
      message: expect.stringContaining('HTTP 404') as string,
    });
    expect(readdirSync(folder)).not.toContain('none');
  });
});

describe('a terminal', () => {
  const step = { at: 0, type: 'step', epoch: 1, step: 3, loss: 1.25, accuracy: 0.5, learningRate: 0.001 } as const;
  const rates = { secondsPerStep: 0.5, imagesPerSecond: 64, etaSeconds: 200 };
  const watched = (screen: { isTTY?: boolean; columns?: number }, verbose = true): string => {
    let text = '';
    const out = terminal({ ...screen, write: (some) => (text += some) });
    const report = reporter(out, { verbose });
    report.goingOn({ epochs: 20, stepsPerEpoch: 10 });
    report.training({ ...step, ...rates });
    out.line('a line');
    return text;
  };

  it('shows loss, s/it, images/s and what is left below the lines, cut to its width', () => {
    const wide = watched({ isTTY: true, columns: 120 });
    expect(wide).toBe(
      'Epoch 1/20 ━━━━━━────────────── 3/10 · loss 1.250 · 0.50 s/it · 64.0 images/s · 3 min 20 s left' +
        '\r\x1b[Ka line\nEpoch 1/20 ━━━━━━────────────── 3/10 · loss 1.250 · 0.50 s/it · 64.0 images/s · 3 min 20 s left',
    );
    expect(watched({ isTTY: true, columns: 20 }).split('\r')[0]).toBe('Epoch 1/20 ━━━━━━──');
  });

  it('is silent of steps where training.verbose is false, and draws nothing anew where there is no terminal', () => {
    expect(watched({ isTTY: true, columns: 120 }, false)).toBe('a line\n');
    expect(watched({})).toBe('a line\n');
  });

  it.each([
    ['kernels', 'Preparing kernels'],
    ['cuts', 'Choosing kernels'],
  ] as const)('counts %s while they are compiled, or measured', (what, words) => {
    let text = '';
    const report = reporter(terminal({ write: (some) => (text += some), isTTY: true, columns: 80 }), { verbose: true });
    report.training({ at: 0, type: 'progress', what, done: 34, total: 120 });
    expect(text).toContain('34 of 120');
    expect(text).toMatch(new RegExp(`^${words} ━+─+ `));
  });
});

it('--labels: as class names are written here, whatever editor wrote the file', async () => {
  const path = join(folder, 'labels.txt');
  // A byte order mark, Windows' line ends, Ü and é of two characters each, blanks at the end of a line, blank lines.
  writeFileSync(path, '\uFEFFZu\u0308rich Unite\u0301\r\n\r\nBIO - Alder \t\r\n   \r\nMDT - Cedar');
  expect(await labelsIn(path)).toEqual(['Z\u00fcrich Unit\u00e9', 'BIO - Alder', 'MDT - Cedar']);
});
