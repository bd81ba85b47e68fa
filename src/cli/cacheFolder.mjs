/**
 * Where caches lie. Plain JavaScript: scripts/bundle-cli.mjs, which makes the bundle that the command line runs from, asks here too.
 */
import { lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import process from 'node:process';

/**
 * The repository's own place first; where this user may not write to it, the one that the system has for the user's caches, and last
 * the temporary files.
 * @param {string} root the repository
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string[]}
 */
export function cachePlaces(root, env = process.env) {
  return [join(root, '.cache'), ...ofTheUser(env).map((folder) => join(folder, 'pacerid-studio')), temporary()];
}

/**
 * The folder `name` in the first place where this user can write; made where it is missing. Null: there is none.
 * @param {string} root
 * @param {string} name
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string | null}
 */
export function cacheFolder(root, name, env = process.env) {
  const [own, ...others] = cachePlaces(root, env);
  if (own !== undefined && takes(join(own, name), 0o777)) return join(own, name);
  // Patients' images may go there: for this user's eyes alone.
  const found = others.find((place) => takes(place, 0o700) && isOurs(place) && takes(join(place, name), 0o700));
  return found === undefined ? null : join(found, name);
}

/**
 * For whoever has to say that there is none.
 * @param {string} root
 */
export function noCacheFolder(root) {
  return {
    message: `There is no folder to keep caches in; tried ${cachePlaces(root).join(', ')}.`,
    kept: 'Nothing was changed.',
    remedy: `Let this user write to one of them, or name another: ${
      process.platform === 'win32' ? 'the variable LOCALAPPDATA' : 'XDG_CACHE_HOME=/a/folder before the command'
    }.`,
  };
}

/** @param {NodeJS.ProcessEnv} env */
function ofTheUser(env) {
  const named = process.platform === 'win32' ? env.LOCALAPPDATA : env.XDG_CACHE_HOME;
  // The XDG specification has relative paths ignored.
  if (named && isAbsolute(named)) return [named];
  const home = env.HOME || homedir();
  return isAbsolute(home) ? [join(home, '.cache')] : [];
}

function temporary() {
  return join(tmpdir(), `pacerid-studio-${process.geteuid?.() ?? 'user'}`);
}

/** In a folder that is everybody's, another user may have put something under our name. @param {string} folder */
function isOurs(folder) {
  if (folder !== temporary() || process.geteuid === undefined) return true;
  const about = lstatSync(folder);
  return about.isDirectory() && about.uid === process.geteuid() && (about.mode & 0o022) === 0;
}

/** What rights alone say isn't so on every disk: something is written. @param {string} folder @param {number} mode */
function takes(folder, mode) {
  try {
    mkdirSync(folder, { recursive: true, mode });
    rmSync(mkdtempSync(join(folder, '.trying-')), { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}
