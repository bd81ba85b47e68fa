import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { kaggleCredentials } from '../../../src/platform/node/kaggle/credentials.ts';
import { retryAfter } from '../../../src/platform/node/kaggle/request.ts';

let home: string;
beforeEach(async () => (home = await mkdtemp(join(tmpdir(), 'home-'))));
afterEach(() => rm(home, { recursive: true, force: true }));

async function put(path: string, text: string, mode = 0o600): Promise<string> {
  const full = join(home, path);
  await mkdir(dirname(full), { recursive: true });
  await writeFile(full, text);
  await chmod(full, mode);
  return full;
}
const basic = (user: string, key: string) => `Basic ${Buffer.from(`${user}:${key}`).toString('base64')}`;
const found = (env: NodeJS.ProcessEnv = {}) => kaggleCredentials({ HOME: home, ...env });
const json = (username: string, key: string) => JSON.stringify({ username, key });

it('the environment before files, a token before a key, kaggle.json last', async () => {
  await put('.kaggle/kaggle.json', json('file', 'filekey'));
  expect((await found()).authorization).toBe(basic('file', 'filekey'));
  const token = await put('.kaggle/access_token', 'KGAT_fromfile\n');
  expect(await found()).toMatchObject({ authorization: 'Bearer KGAT_fromfile', source: token });
  const env = { KAGGLE_USERNAME: 'env', KAGGLE_KEY: 'envkey' };
  expect((await found(env)).authorization).toBe(basic('env', 'envkey'));
  expect((await found({ ...env, KAGGLE_API_TOKEN: 'KGAT_env' })).authorization).toBe('Bearer KGAT_env');
  expect((await found({ KAGGLE_API_TOKEN: token })).authorization).toBe('Bearer KGAT_fromfile');
});

it('a token in the key’s place is a token still', async () => {
  const env = { KAGGLE_USERNAME: 'env', KAGGLE_KEY: 'KGAT_abc' };
  expect((await found(env)).authorization).toBe('Bearer KGAT_abc');
});

it('KAGGLE_CONFIG_DIR, and ~/.config/kaggle where ~/.kaggle has none', async () => {
  await put('.config/kaggle/kaggle.json', json('xdg', 'k'));
  expect((await found()).authorization).toBe(basic('xdg', 'k'));
  await put('elsewhere/kaggle.json', json('dir', 'k'));
  expect((await found({ KAGGLE_CONFIG_DIR: join(home, 'elsewhere') })).authorization).toBe(basic('dir', 'k'));
});

it('one of two variables is completed by the file, as Kaggle’s client does', async () => {
  await expect(found({ KAGGLE_USERNAME: 'u' })).rejects.toThrow('KAGGLE_KEY is not set');
  await expect(found({ KAGGLE_KEY: 'k' })).rejects.toThrow('KAGGLE_USERNAME is not set');
  await put('.kaggle/kaggle.json', json('file', 'filekey'));
  expect((await found({ KAGGLE_USERNAME: 'u' })).authorization).toBe(basic('u', 'filekey'));
});

it('warns where others can read the key, and only there', async () => {
  const path = await put('.kaggle/kaggle.json', json('file', 'filekey'), 0o644);
  expect((await found()).warnings).toEqual([
    `Other users of this computer can read ${path}; chmod 600 ${path} ends that.`,
  ]);
  await chmod(path, 0o600);
  expect((await found()).warnings).toEqual([]);
});

it('none: says where it looked and how to get them', async () => {
  await expect(found()).rejects.toMatchObject({
    name: 'KaggleCredentialsMissingError',
    message: expect.stringContaining(join(home, '.kaggle', 'kaggle.json')),
    remedy: expect.stringMatching(/^1\. .*settings\/api.*\n2\. .*kaggle\.json.*\n3\. .*chmod 600/),
  });
});

it.each([
  ['{"username": "u", "key": "s3cr3t"', 'not valid JSON'],
  ['["u", "s3cr3t"]', 'no “username”'],
  ['"s3cr3t"', 'holds no'],
  ['{"username": "s3cr3t"}', 'no “key”'],
  ['{"username": "u", "key": 5}', 'no “key”'],
])('%s: says what is wrong, quotes nothing', async (text, reason) => {
  await put('.kaggle/kaggle.json', text);
  const error = await found().catch((thrown: unknown) => thrown as Error);
  expect(error).toMatchObject({ name: 'KaggleCredentialsUnreadableError', message: expect.stringContaining(reason) });
  expect(`${(error as Error).stack} ${String((error as Error).cause)}`).not.toContain('s3cr3t');
});

it('a token of several words cannot be sent', async () => {
  await expect(found({ KAGGLE_API_TOKEN: 'two words' })).rejects.toThrow('one word');
});

it('reads Retry-After in seconds and as a date', () => {
  const of = (value: string | null) =>
    retryAfter(new Response(null, { headers: value === null ? {} : { 'retry-after': value } }), Date.UTC(2026, 2, 26));
  expect(of('12')).toBe(12);
  expect(of('Thu, 26 Mar 2026 00:01:00 GMT')).toBe(60);
  expect(of('Wed, 25 Mar 2026 00:00:00 GMT')).toBe(0);
  expect(of('soon')).toBe(null);
  expect(of(null)).toBe(null);
});
