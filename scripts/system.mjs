/** What several scripts ask of the machine. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

/** True in a script that was started, not imported. */
export function isMain(url) {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(url);
}

/** Root, with apt-get: the only machines on which a script installs something by itself. */
export function isRootOnDebian() {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
}

/** `bookworm`, `trixie`, `noble`, …; empty where there is none. */
function debianCodename() {
  if (!existsSync('/etc/os-release')) return '';
  return /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '';
}

let listsUpdated = false;

/** Installs Debian packages; with `backports`, from there on Debian 12. Returns null, or why it failed. */
export function aptInstall(packages, { backports = false } = {}) {
  const useBackports = backports && debianCodename() === 'bookworm';
  if (useBackports && addBackports()) listsUpdated = false;
  if (!listsUpdated) {
    const failure = apt(['update']);
    if (failure) return failure;
    listsUpdated = true;
  }
  const suite = useBackports ? ['-t', 'bookworm-backports'] : [];
  return apt(['install', '-y', '--no-install-recommends', ...suite, ...packages]);
}

function apt(args) {
  const result = spawnSync('apt-get', ['-qq', ...args], {
    encoding: 'utf8',
    timeout: 600_000,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (result.status === 0) return null;
  const errors = (result.stderr ?? '').split('\n').filter((line) => line.startsWith('E:'));
  return errors[0] ?? String(result.error ?? `exit status ${result.status}`);
}

/** Adds the suite bookworm-backports on the mirror that is already configured. True where it was added now. */
function addBackports() {
  const list = '/etc/apt/sources.list.d/backports.sources';
  if (existsSync(list)) return false;
  const sources = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'].filter(existsSync);
  const text = sources.map((path) => readFileSync(path, 'utf8')).join('\n');
  if (text.includes('bookworm-backports')) return false;
  const mirror = /^URIs: (\S+)/m.exec(text)?.[1] ?? /^deb (?:\[.*?\] )?(\S+)/m.exec(text)?.[1];
  if (!mirror) return false;
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(
    list,
    `Types: deb\nURIs: ${mirror}\nSuites: bookworm-backports\nComponents: main\nSigned-By: ${keyring}\n`,
  );
  return true;
}

/** A port that nobody listens on, on this machine's loopback. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
