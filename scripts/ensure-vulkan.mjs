#!/usr/bin/env node
/**
 * Finds an adapter for WebGPU in Node (Dawn): the machine's own GPU, else a software Vulkan driver (lavapipe, SwiftShader),
 * which is installed on Debian and Ubuntu when root. Run by itself it prints what it found, or why there is none.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aptInstall, isMain, isRootOnDebian } from './system.mjs';

/** Asks Dawn for an adapter, in a process of its own: a driver that crashes takes only that one with it. */
const probe = `
  import { create, globals } from 'webgpu';
  Object.assign(globalThis, globals);
  const adapter = await create([]).requestAdapter({ powerPreference: 'high-performance' });
  const device = await adapter?.requestDevice();
  const { vendor, architecture, device: name, description } = adapter?.info ?? {};
  console.log(JSON.stringify(device ? { vendor, architecture, name, description } : null));
  process.exit(0);
`;

function adapterWith(env) {
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', probe], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, ...env },
    cwd: join(import.meta.dirname, '..'),
  });
  const line = result.stdout?.trim().split('\n').at(-1);
  try {
    const info = JSON.parse(line || 'null');
    if (info === null) return null;
    const label = info.description || info.name || info.architecture || info.vendor || 'unnamed adapter';
    return { label, software: /llvmpipe|lavapipe|swiftshader|basic render|software/i.test(JSON.stringify(info)), env };
  } catch {
    return null;
  }
}

/** `{ label, software, env }` of an adapter that is already here, or null. `env` must be set for the tests. */
export function findVulkan() {
  const own = adapterWith({});
  if (own && !own.software) return own;
  const runtime = process.env.XDG_RUNTIME_DIR ? {} : { XDG_RUNTIME_DIR: tmpdir() };
  for (const driver of softwareDrivers()) {
    const found = adapterWith({ ...runtime, VK_ICD_FILENAMES: driver });
    if (found) return found;
  }
  return own;
}

/** Finds one or installs one; `{ label: null, why }` says what is missing. */
export function ensureVulkan(say = console.error) {
  const found = findVulkan();
  if (found) return found;
  if (!isRootOnDebian()) {
    return {
      label: null,
      why: 'no adapter for WebGPU in Node: no GPU driver answers, and Mesa’s software driver (Debian: mesa-vulkan-drivers 24 or later, libvulkan1) can only be installed by root',
    };
  }
  say('No adapter for WebGPU; installing Mesa’s software Vulkan driver …');
  const failure = aptInstall(['libvulkan1']) ?? aptInstall(['mesa-vulkan-drivers'], { backports: true });
  const installed = findVulkan();
  if (installed) return installed;
  return {
    label: null,
    why: failure
      ? `no adapter for WebGPU in Node, and installing Mesa’s software driver failed (${failure})`
      : 'no adapter for WebGPU in Node, even with Mesa’s software driver',
  };
}

function softwareDrivers() {
  const folders = ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d'];
  const lavapipe = folders
    .filter(existsSync)
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => /lvp_icd.*\.json$/.test(path));
  return [...lavapipe, ...['/usr/lib/chromium/vk_swiftshader_icd.json'].filter(existsSync)];
}

if (isMain(import.meta.url)) {
  const adapter = ensureVulkan();
  console.log(adapter.label === null ? adapter.why : `${adapter.label}${adapter.software ? ' (software)' : ''}`);
  for (const [name, value] of Object.entries(adapter.env ?? {})) console.log(`export ${name}=${value}`);
  process.exit(adapter.label === null ? 1 : 0);
}
