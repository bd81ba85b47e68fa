import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { KaggleCredentialsMissingError, KaggleCredentialsUnreadableError } from './errors.ts';

export interface KaggleCredentials {
  /** Value of the `Authorization` header: Basic for a user's name and key, Bearer for the newer tokens. */
  readonly authorization: string;
  /** Where they come from, for messages. */
  readonly source: string;
  /** What must never be printed. */
  readonly secrets: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Looks where Kaggle's own client looks (kagglesdk `kaggle_env.py`, kaggle-cli `kaggle_api_extended.py`), the environment before
 * files: KAGGLE_API_TOKEN (a token, or a file that holds one) · KAGGLE_USERNAME with KAGGLE_KEY, each of which a kaggle.json may
 * complete · ~/.kaggle/access_token[.txt] · kaggle.json in KAGGLE_CONFIG_DIR, else in ~/.kaggle, else in $XDG_CONFIG_HOME/kaggle.
 * Throws `KaggleCredentialsMissingError`, `KaggleCredentialsUnreadableError`.
 */
export async function kaggleCredentials(env: NodeJS.ProcessEnv = process.env): Promise<KaggleCredentials> {
  const home = env.HOME || homedir();
  const given = env.KAGGLE_API_TOKEN;
  if (given) {
    const file = await readSecret(given);
    return bearer(file?.text ?? given, 'KAGGLE_API_TOKEN', file?.warnings ?? []);
  }
  const { KAGGLE_USERNAME: username, KAGGLE_KEY: key } = env;
  if (username && key) return basic(username, key, 'KAGGLE_USERNAME and KAGGLE_KEY', []);
  const tokens = username || key ? [] : ['access_token', 'access_token.txt'].map((name) => join(home, '.kaggle', name));
  for (const path of tokens) {
    const file = await readSecret(path);
    if (file !== null && file.text !== '') return bearer(file.text, path, file.warnings);
  }
  const folders = env.KAGGLE_CONFIG_DIR
    ? [env.KAGGLE_CONFIG_DIR]
    : [join(home, '.kaggle'), join(env.XDG_CONFIG_HOME || join(home, '.config'), 'kaggle')];
  for (const path of folders.map((folder) => join(folder, 'kaggle.json'))) {
    const file = await readSecret(path);
    if (file === null) continue;
    const held = parse(file.text, path);
    return basic(username || field(held, 'username', path), key || field(held, 'key', path), path, file.warnings);
  }
  if (username) throw new KaggleCredentialsUnreadableError('KAGGLE_USERNAME', 'KAGGLE_KEY is not set');
  if (key) throw new KaggleCredentialsUnreadableError('KAGGLE_KEY', 'KAGGLE_USERNAME is not set');
  throw new KaggleCredentialsMissingError([
    'KAGGLE_API_TOKEN',
    'KAGGLE_USERNAME and KAGGLE_KEY',
    ...tokens.slice(0, 1),
    ...folders.map((folder) => join(folder, 'kaggle.json')),
  ]);
}

/** The settings page hands out tokens (`KGAT_…`) where it once did keys; people put them in the key's place. */
function basic(username: string, key: string, source: string, warnings: readonly string[]): KaggleCredentials {
  if (key.startsWith('KGAT_')) return bearer(key, source, warnings);
  const pair = Buffer.from(`${username}:${key}`).toString('base64');
  return { authorization: `Basic ${pair}`, source, secrets: [key, pair], warnings };
}

function bearer(token: string, source: string, warnings: readonly string[]): KaggleCredentials {
  const trimmed = token.trim();
  if (!/^[\x21-\x7e]+$/.test(trimmed)) {
    throw new KaggleCredentialsUnreadableError(source, 'a token is one word of plain letters, digits and signs');
  }
  return { authorization: `Bearer ${trimmed}`, source, secrets: [trimmed], warnings };
}

/** Null: there is no such file. */
async function readSecret(path: string): Promise<{ text: string; warnings: string[] } | null> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    // Windows has no such modes: every file reads as 666.
    const open = process.platform !== 'win32' && ((await stat(path)).mode & 0o077) !== 0;
    const warning = `Other users of this computer can read ${path}; chmod 600 ${path} ends that.`;
    return { text, warnings: open ? [warning] : [] };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(code)) return null;
    // The file's content is no part of Node's own message.
    throw new KaggleCredentialsUnreadableError(path, code === 'EISDIR' ? 'it is a folder' : `${code} on reading it`);
  }
}

function parse(text: string, path: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // No cause: the parser's message quotes the text.
    throw new KaggleCredentialsUnreadableError(path, 'it is not valid JSON');
  }
  if (typeof value === 'object' && value !== null) return value;
  throw new KaggleCredentialsUnreadableError(path, 'it holds no {"username": …, "key": …}');
}

function field(held: object, name: 'username' | 'key', path: string): string {
  const value: unknown = Reflect.get(held, name);
  if (typeof value === 'string' && value !== '') return value;
  throw new KaggleCredentialsUnreadableError(path, `it has no “${name}”`);
}
