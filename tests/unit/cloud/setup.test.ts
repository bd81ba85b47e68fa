import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

/**
 * What cloud/setup.sh decides on a machine with an NVIDIA driver, which no machine of ours has: nvidia-smi, apt, npm and what writes
 * into /etc are stand-ins that write down how they were called. From zero, for real and without a GPU: `npm run verify -- cloud-setup`.
 */
const here =
  existsSync('/usr/bin/apt-get') && !existsSync('/usr/share/vulkan/icd.d/nvidia_icd.json') && process.arch === 'x64';
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'setup-'));
  for (const name of ['bin', 'cloud', 'node_modules']) mkdirSync(join(folder, name));
  copyFileSync('cloud/setup.sh', join(folder, 'cloud', 'setup.sh'));
  writeFileSync(join(folder, 'package-lock.json'), '{}');
  program('nvidia-smi', 'echo 535.183.01');
  program('dpkg-query', 'echo not-installed');
  program('sudo', '[ "$1" = -n ] && shift; exec "$@"');
  program('apt-get', '');
  program('tee', 'cat >>"$RECORD"');
  program('mkdir', '');
  // The second call is after something was done about the first one's answer.
  program(
    'npm',
    `case "$*" in *require-gpu*) echo asked >>"$RECORD.asked"; [ $(wc -l <"$RECORD.asked") -gt "$FAILURES" ];; esac`,
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function program(name: string, body: string): void {
  const path = join(folder, 'bin', name);
  writeFileSync(path, `#!/bin/sh\necho "${name} $*" >>"$RECORD"\n${body}\n`);
  chmodSync(path, 0o755);
}

/** `versions`: what the configured repositories have, a package a key. `failures`: how often WebGPU finds no GPU. */
function setUp(
  versions: Readonly<Record<string, readonly string[]>>,
  failures: number,
  env: Record<string, string> = {},
) {
  const cases = Object.entries(versions).map(
    ([name, all]) =>
      `${name}) printf '${all.map((one) => ` ${name} | ${one} | http://mirror x/main amd64 Packages\\n`).join('')}';;`,
  );
  program('apt-cache', `case "$2" in ${cases.join(' ')} esac`);
  const record = join(folder, 'record');
  const { status, stdout, stderr } = spawnSync('bash', [join(folder, 'cloud', 'setup.sh')], {
    encoding: 'utf8',
    env: {
      ...process.env,
      PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
      RECORD: record,
      FAILURES: String(failures),
      ...env,
    },
  });
  return { status, stdout, stderr, calls: readFileSync(record, 'utf8') };
}

describe.skipIf(!here)('a machine with an NVIDIA driver and no Vulkan', () => {
  test('gets the Vulkan part in the very version of the driver, from whichever package has it', () => {
    const { status, calls } = setUp(
      {
        'libnvidia-gl-535-server': ['535.216.01-0ubuntu0.22.04.1', '535.161.08-0ubuntu2.22.04.1'],
        'libnvidia-gl-535': ['535.183.06-0ubuntu0.22.04.1', '535.183.01-0ubuntu0.22.04.1'],
      },
      0,
    );
    expect(status).toBe(0);
    const installs = [...calls.matchAll(/^apt-get .* install .*?(\S+=\S+)$/gm)].map(([, one]) => one);
    expect(installs).toEqual(['libnvidia-gl-535=535.183.01-0ubuntu0.22.04.1']);
    expect(calls).toMatch(/^apt-get .*install .* libx11-6 libxext6 libegl1$/m);
  });

  test('takes a package of NVIDIA’s or Debian’s by another name, with an epoch', () => {
    const { calls } = setUp({ 'nvidia-vulkan-icd': ['1:535.183.01-1'] }, 0);
    expect(calls).toContain('nvidia-vulkan-icd=1:535.183.01-1');
  });

  test('never takes another version; tells the loader of the EGL library, and goes on where that helps', () => {
    const { status, stdout, calls } = setUp({ 'libnvidia-gl-535': ['535.183.011-1', '535.183.06-1'] }, 1);
    expect(status).toBe(0);
    expect(stdout).toContain('no configured repository has the Vulkan part of the NVIDIA driver 535.183.01');
    expect(calls).not.toContain('libnvidia-gl-535=');
    expect(calls).toMatch(/^tee \/etc\/vulkan\/icd\.d\/nvidia_egl_icd\.json\n\{.*"libEGL_nvidia\.so\.0"/m);
  });

  test('stops where WebGPU cannot use the GPU, unless told to go on', () => {
    const stopped = setUp({}, 2);
    expect(stopped.status).toBe(1);
    expect(stopped.stderr).toContain('PACERID_ALLOW_WASM=1');
    rmSync(join(folder, 'record.asked'));
    expect(setUp({}, 2, { PACERID_ALLOW_WASM: '1' }).status).toBe(0);
  });

  test('runs npm ci once for the same packages', () => {
    setUp({}, 0);
    const { calls } = setUp({}, 0);
    expect(calls.match(/^npm ci/gm)).toHaveLength(1);
  });
});
