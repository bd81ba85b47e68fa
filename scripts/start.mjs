#!/usr/bin/env node
/**
 * `npm start`: builds the site where it is missing or older than its sources, serves it, prints its address, and opens it
 * where there is a desktop. Options: --port N (default 4173; a taken port means the next one), --host ADDRESS (default:
 * this machine only), --no-open, --strict-port (fail where the port is taken).
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { preview } from 'vite';
import { buildWhereOlder } from './build.mjs';

const root = join(import.meta.dirname, '..');

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '4173' },
    host: { type: 'string', default: 'localhost' },
    'no-open': { type: 'boolean', default: false },
    'strict-port': { type: 'boolean', default: false },
  },
});

await buildWhereOlder(root);

const server = await preview({
  root,
  logLevel: 'warn',
  preview: {
    port: Number(options.port),
    host: options.host,
    strictPort: options['strict-port'],
    open: false,
    // Under whatever name an intranet knows this machine: what is served are public files, there is nothing to rebind to.
    allowedHosts: true,
  },
});
const addresses = [...server.resolvedUrls.local, ...server.resolvedUrls.network];
console.log(`\nPacerID Studio is at ${addresses.join(' and ')}\nCtrl+C ends it.`);
if (hasDesktop() && !options['no-open']) openBrowser(addresses[0]);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    server.httpServer.closeAllConnections?.();
    server.httpServer.close(() => process.exit(0));
  });
}

/** A person sits at this machine's screen. */
function hasDesktop() {
  if (process.env.CI || !process.stdout.isTTY || process.env.SSH_CONNECTION) return false;
  if (process.platform === 'darwin' || process.platform === 'win32') return true;
  return Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
}

function openBrowser(address) {
  const [command, ...args] =
    process.platform === 'darwin'
      ? ['open', address]
      : process.platform === 'win32'
        ? ['cmd', '/c', 'start', '', address]
        : ['xdg-open', address];
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  child.on('error', () => console.log('No browser could be opened; please open the address yourself.'));
  child.unref();
}
