#!/usr/bin/env node
/**
 * Finds a Chromium, or gets one. In order: the environment variable CHROMIUM, the PATH and the usual places, Playwright's
 * own, Playwright's download, Debian's package when root. Run by itself it prints the path.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from '@playwright/test';
import { aptInstall, isMain, isRootOnDebian } from './system.mjs';

const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome', 'msedge'];
const usualPlaces = {
  darwin: [
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
  ],
  win32: [process.env.PROGRAMFILES, process.env['PROGRAMFILES(X86)'], process.env.LOCALAPPDATA]
    .filter(Boolean)
    .flatMap((folder) => [
      join(folder, 'Google/Chrome/Application/chrome.exe'),
      join(folder, 'Microsoft/Edge/Application/msedge.exe'),
    ]),
}[process.platform] ?? ['/snap/bin/chromium'];

/** `{ path, how }` of a Chromium that is already here, or null. Throws where CHROMIUM names no file. */
export function findChromium() {
  const named = process.env.CHROMIUM;
  if (named) {
    if (!existsSync(named)) throw new Error(`The environment variable CHROMIUM names ${named}, which is not there.`);
    return { path: named, how: 'the environment variable CHROMIUM' };
  }
  const suffix = process.platform === 'win32' ? '.exe' : '';
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of names) {
      const path = join(folder, name + suffix);
      if (folder && existsSync(path)) return { path, how: 'the PATH' };
    }
  }
  const path = usualPlaces.find(existsSync);
  if (path) return { path, how: 'its usual place' };
  const own = chromium.executablePath();
  return own && existsSync(own) ? { path: own, how: 'Playwright’s own download' } : null;
}

/** Finds one or gets one; `{ path: null, how }` says what was tried. `say` is told before something is downloaded. */
export function ensureChromium(say = console.error) {
  const found = findChromium();
  if (found) return found;
  const tried = [];

  say('No Chromium here; trying Playwright’s download (about 170 MB) …');
  const download = spawnSync('npx', ['playwright', 'install', '--no-shell', 'chromium'], {
    encoding: 'utf8',
    timeout: 300_000,
    shell: process.platform === 'win32',
  });
  const downloaded = findChromium();
  if (downloaded) return downloaded;
  tried.push(
    `Playwright’s download failed (${firstLine(download.stderr || String(download.error ?? 'no reason given'))})`,
  );

  if (isRootOnDebian()) {
    say('Installing Debian’s chromium …');
    const failure = aptInstall(['chromium', 'fonts-dejavu-core']);
    const installed = findChromium();
    if (installed) return { ...installed, how: 'Debian’s package, just installed' };
    tried.push(`apt-get failed (${failure})`);
  } else {
    tried.push('Debian’s package needs root on Debian or Ubuntu');
  }
  return {
    path: null,
    how: `no Chromium: none on the PATH; ${tried.join('; ')}. Install one, or set CHROMIUM=/its/path`,
  };
}

function firstLine(text) {
  return (
    text
      .split('\n')
      .find((line) => /error|fail/i.test(line))
      ?.trim()
      .slice(0, 160) ?? text.trim().slice(0, 160)
  );
}

if (isMain(import.meta.url)) {
  const { path, how } = ensureChromium();
  console.log(path ?? how);
  process.exit(path ? 0 : 1);
}
