/**
 * The nginx recipe of docs/hosting.md, word for word, in a real nginx, as curl and Chromium see it.
 *
 * From a sub-path, over TLS under the recipe's own name, once without its headers and once with them; Chromium trains on the page and
 * opens it again with nginx gone. Root on Debian or Ubuntu gets nginx installed where there is none, not started; elsewhere it has to be
 * there.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromium, expect, type Page } from '@playwright/test';
import { aptInstall, freePort, isRootOnDebian } from '../../scripts/system.mjs';
import { policyHeaders } from '../../src/serviceWorker/policy.ts';
import { fewSteps, startTraining, testAccuracy, useSample } from '../browser/support.ts';
import { nginxRecipe } from '../unit/hosting/hostingDoc.ts';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const host = 'studio.example.org';
const folder = mkdtempSync(join(tmpdir(), 'pacerid-nginx-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

ensureNginx();
must(process.execPath, ['scripts/build.mjs']);
const port = await freePort();
const url = `https://${host}:${port}/pacerid/`;
const certificate = join(folder, 'certificate.pem');
const key = join(folder, 'key.pem');
must('openssl', [
  ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-keyout', key, '-out', certificate],
  ...['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`],
]);

for (const withHeaders of [false, true]) {
  console.log(`\n${withHeaders ? 'With' : 'Without'} the headers:`);
  const nginx = await startNginx(withHeaders);
  try {
    askWithCurl(withHeaders);
    await openInChromium(withHeaders, () => nginx.kill('SIGQUIT'));
  } finally {
    nginx.kill('SIGKILL');
  }
}
console.log('\nThe recipe works as it is written.');

function ensureNginx(): void {
  const version = () => spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr?.trim();
  if (!version()) {
    if (!isRootOnDebian()) end('There is no nginx here, and only root on Debian or Ubuntu gets it installed.');
    // What Debian's packages ask before they start a service: in this runlevel they don't.
    process.env.RUNLEVEL = '1';
    const failure = aptInstall(['nginx-light', 'openssl', 'curl']) as string | null;
    if (failure !== null) end(`nginx could not be installed: ${failure}`);
  }
  console.log(version());
}

/** The recipe, with the places of this computer in place of its own. */
async function startNginx(withHeaders: boolean): Promise<ChildProcess> {
  const { server, headers } = nginxRecipe();
  const includes = join(folder, 'pacerid-headers.conf');
  writeFileSync(includes, headers);
  const places: readonly (readonly [string, string])[] = [
    ['listen 443 ssl', `listen 127.0.0.1:${port} ssl`],
    [`/etc/ssl/${host}.pem`, certificate],
    [`/etc/ssl/${host}.key`, key],
    ['/srv/pacerid/', `${resolve('dist')}/`],
    ['# include /etc/nginx/pacerid-headers.conf', `${withHeaders ? '' : '# '}include ${includes}`],
  ];
  const block = places.reduce((text, [theirs, ours]) => {
    if (!text.includes(theirs)) end(`The recipe has no “${theirs}” any more.`);
    return text.replaceAll(theirs, ours);
  }, server);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => {
    mkdirSync(join(folder, name), { recursive: true });
    return `${name}_temp_path ${join(folder, name)};`;
  });
  const configuration = join(folder, 'nginx.conf');
  writeFileSync(
    configuration,
    `${process.getuid?.() === 0 ? 'user root;\n' : ''}daemon off;\nmaster_process off;\npid ${join(folder, 'pid')};\nerror_log stderr crit;\n` +
      `events {}\nhttp {\ninclude /etc/nginx/mime.types;\naccess_log off;\n${temporary.join('\n')}\n${block}}\n`,
  );
  const tested = spawnSync('nginx', ['-t', '-c', configuration, '-p', folder], { encoding: 'utf8' });
  check(
    tested.status === 0 && !/\[(warn|emerg)\]/.test(tested.stderr),
    `nginx -t is content${tested.status === 0 ? '' : `: ${tested.stderr}`}`,
  );
  const nginx = spawn('nginx', ['-c', configuration, '-p', folder], { stdio: ['ignore', 'inherit', 'inherit'] });
  await expect.poll(() => curl('index.html').status, { timeout: 10_000 }).toBe(200);
  return nginx;
}

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** curl checks the certificate and the name, as a browser does. */
function curl(path: string, ...more: string[]): Answer {
  const trust = ['--cacert', certificate, '--resolve', `${host}:${port}:127.0.0.1`];
  const { stdout } = spawnSync(
    'curl',
    ['-sS', '-o', '/dev/null', '-D', '-', ...trust, ...more, new URL(path, url).href],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const [first = '', ...lines] = stdout.trim().split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { status: Number(first.split(' ')[1]), headers: new Map(headers) };
}

function askWithCurl(withHeaders: boolean): void {
  const assets = readdirSync('dist/assets');
  const [wasm, script] = ['.wasm', '.js'].map((end) => `assets/${assets.find((name) => name.endsWith(end)) ?? ''}`);
  const expected: readonly (readonly [string, number, RegExp, RegExp])[] = [
    ['', 200, /^text\/html/, /^no-cache$/],
    ['index.html', 200, /^text\/html/, /^no-cache$/],
    ['serviceWorker.js', 200, /^(text|application)\/javascript/, /^no-cache$/],
    [wasm ?? '', 200, /^application\/wasm$/, /^max-age=31536000$/],
    [script ?? '', 200, /^(text|application)\/javascript/, /^max-age=31536000$/],
    ['weights/none.safetensors', 404, /^text\/html/, /./],
    ['assets/', 403, /^text\/html/, /./],
  ];
  for (const [path, status, type, caching] of expected) {
    const answer = curl(path);
    const found = [answer.status, answer.headers.get('content-type'), answer.headers.get('cache-control')];
    const policy = Object.entries(policyHeaders).filter(
      ([name, value]) => answer.headers.get(name.toLowerCase()) === value,
    );
    const right =
      answer.status === status &&
      type.test(String(found[1])) &&
      (status !== 200 || caching.test(String(found[2]))) &&
      policy.length === (withHeaders ? Object.keys(policyHeaders).length : 0);
    check(right, `${path === '' ? '(the folder)' : path}: ${found.join(', ')}, ${policy.length} headers of the policy`);
  }
  const { status, headers } = curl('../pacerid');
  check(status === 301 && headers.get('location')?.endsWith('/pacerid/') === true, 'without its last / it is sent on');
  check(
    curl(script ?? '', '-H', 'Accept-Encoding: gzip').headers.get('content-encoding') === 'gzip',
    'scripts come gzipped',
  );
}

async function openInChromium(withHeaders: boolean, goOffline: () => void): Promise<void> {
  const root = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const args = [`--host-resolver-rules=MAP ${host} 127.0.0.1`, '--ignore-certificate-errors', '--disable-gpu'];
  const browser = await chromium.launch({ executablePath, args: [...root, ...args] });
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('console', (message) => void (message.type() === 'error' && errors.push(message.text())));
    let documents = 0;
    page.on('request', (request) => void (documents += Number(request.isNavigationRequest())));
    const settings = { ...fewSteps, 'model.architecture': 'tiny', 'model.pretrained': 'false' };
    const query = new URLSearchParams(Object.entries(settings).map(([name, value]) => [name, String(value)]));
    await page.goto(`${url}?${query}`);
    await expect(page.getByTestId('offline')).toBeVisible({ timeout: 60_000 });
    check(
      documents === (withHeaders ? 1 : 2),
      `the first visit loads the page ${documents === 1 ? 'once' : `${documents} times`}`,
    );
    check(await page.evaluate(() => isSecureContext && crossOriginIsolated), 'it is isolated');
    await train(page);
    check(errors.length === 0, `no error in the console${errors.map((text) => `; ${text}`).join('')}`);
    goOffline();
    await expect.poll(() => curl('').status).not.toBe(200);
    await page.reload();
    await expect(page.getByTestId('offline')).toBeVisible({ timeout: 60_000 });
    check(true, 'with nginx gone it opens and works offline');
  } finally {
    await browser.close();
  }
}

async function train(page: Page): Promise<void> {
  await useSample(page);
  await startTraining(page);
  const accuracy = await testAccuracy(page, 120_000);
  check(accuracy >= 0, `it trains: ${(100 * accuracy).toFixed(0)} % on Test after a few steps`);
}

function must(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) end(`${program}: ${stderr ?? 'it is not here.'}`);
}

function check(right: boolean, what: string): void {
  console.log(`  ${right ? '✓' : '✗'} ${what}`);
  if (!right) process.exit(1);
}

function end(sentence: string): never {
  console.error(sentence);
  process.exit(2);
}
