#!/usr/bin/env node
/**
 * Serves the folder `page` beside this file, with Node alone; serve.py does the same with Python. A taken port means the next one.
 * Other computers reach it with --host 0.0.0.0, and need https: --cert and --key.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, realpathSync, statSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { hostname } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const folder = realpathSync(dirname(fileURLToPath(import.meta.url)));
const page = join(folder, 'page');
if (!isFile(join(page, 'index.html'))) end(1, `There is no page in ${folder}: copy the whole folder.`);
const { types, headers } = JSON.parse(readFileSync(join(folder, 'serve.json'), 'utf8'));
// A second start finds out by this that the first one still runs.
headers.Server = `PacerID/${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`;

const { port, host, cert, key, 'no-open': quiet } = options(process.argv.slice(2));
const scheme = cert ? https : http;
const server = createServer();
let attempt = port;
server.on('error', (error) => void failed(error)).on('listening', () => started(server.address().port));
server.listen(attempt, host);

function answer({ method, url, headers: asked }, response) {
  const reply = (status, more) => response.writeHead(status, { ...headers, ...more });
  if (method !== 'GET' && method !== 'HEAD') return reply(405, { Allow: 'GET, HEAD', 'Content-Length': 0 }).end();
  const address = url.split('?')[0];
  const path = pathOf(address);
  const index = path && join(path, 'index.html');
  if (path && !address.endsWith('/') && isFile(index))
    return reply(301, { Location: `${address}/${url.slice(address.length)}`, 'Content-Length': 0 }).end();
  const file = address.endsWith('/') ? index : path;
  if (!file || !isFile(file)) return reply(404, { 'Content-Length': 0 }).end();
  const { size, mtimeMs } = statSync(file);
  const tag = `"${size}-${Math.floor(mtimeMs)}"`;
  if (asked['if-none-match'] === tag) return reply(304, { ETag: tag }).end();
  const type = types[extname(file).toLowerCase()] ?? 'application/octet-stream';
  reply(200, { 'Content-Type': type, 'Content-Length': size, ETag: tag });
  if (method === 'HEAD') return response.end();
  const content = createReadStream(file).on('error', () => response.destroy());
  response.on('close', () => content.destroy());
  content.pipe(response);
}

/** Null where a name in it isn't a plain one: `..`, hidden files, other drives. */
function pathOf(address) {
  try {
    const names = decodeURIComponent(address);
    return /^(?:\/[^./\\:\0][^/\\:\0]*)*\/?$/.test(names) ? join(page, names) : null;
  } catch {
    return null;
  }
}

async function failed({ code, message }) {
  if (code !== 'EADDRINUSE') end(1, `${host}, port ${attempt}, can't be used: ${message}`);
  const options = { method: 'HEAD', rejectUnauthorized: false, signal: AbortSignal.timeout(2000) };
  const there = await new Promise((resolve) => {
    const request = scheme.request(addressAt(attempt), options, (response) => resolve(response.headers.server));
    request.on('response', () => request.destroy()).on('error', () => resolve(null));
    request.end();
  });
  if (there === headers.Server) {
    console.log(`PacerID Studio is at ${addressAt(attempt)} already.`);
    return openBrowser(addressAt(attempt));
  }
  if (attempt === port + 20) end(1, `Ports ${port} to ${attempt} are taken: choose another with --port.`);
  console.log(`Port ${attempt} is taken. What a browser keeps for it isn't shown at the next one.`);
  server.listen((attempt += 1), host);
}

function started(at) {
  console.log(`PacerID Studio is at ${addressAt(at)}\nLeave this window open; Ctrl+C ends it.`);
  if (!cert && !/^(127\.|localhost$|::1$)/.test(host))
    console.log('From other computers WebGPU, the camera and offline use need https: --cert and --key.');
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit());
  openBrowser(addressAt(at));
}

function addressAt(at) {
  const name = /^(0\.0\.0\.0|::)$/.test(host) ? hostname() : host.includes(':') ? `[${host}]` : host;
  return `${cert ? 'https' : 'http'}://${name}:${at}/`;
}

function openBrowser(address) {
  const { SSH_CONNECTION, DISPLAY, WAYLAND_DISPLAY } = process.env;
  const [command, ...args] = { darwin: ['open'], win32: ['cmd', '/c', 'start', ''] }[process.platform] ?? ['xdg-open'];
  const desktop = command !== 'xdg-open' || DISPLAY || WAYLAND_DISPLAY;
  if (quiet || !process.stdout.isTTY || SSH_CONNECTION || !desktop) return;
  const child = spawn(command, [...args, address], { stdio: 'ignore', detached: true });
  child.on('error', () => console.log('Please open this address in a browser.')).unref();
}

function options(args) {
  const text = { type: 'string' };
  const known = { port: text, host: text, cert: text, key: text, 'no-open': { type: 'boolean' } };
  try {
    const values = { port: '4180', host: '127.0.0.1', ...parseArgs({ args, options: known }).values };
    if (!/^\d{1,5}$/.test(values.port) || values.port > 65515) throw new Error(`${values.port} is no port.`);
    if (!values.cert !== !values.key) throw new Error('--cert and --key go together.');
    return { ...values, port: Number(values.port) };
  } catch ({ message }) {
    return end(2, `${message}\nnode serve.mjs [--port N] [--host ADDRESS] [--cert FILE --key FILE] [--no-open]`);
  }
}

function createServer() {
  try {
    return scheme.createServer(cert ? { cert: readFileSync(cert), key: readFileSync(key) } : {}, answer);
  } catch ({ message }) {
    return end(1, `The certificate can't be used: ${message}`);
  }
}

function isFile(path) {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function end(status, sentence) {
  console.error(sentence);
  process.exit(status);
}
