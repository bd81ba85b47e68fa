import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { cacheFolder, cachePlaces } from '../../../src/cli/cacheFolder.mjs';
import { jpegs } from '../dataset/archives.ts';
import { startProcess } from '../support/cli.ts';
import { asNobody, nobodyCanRead } from '../support/nobody.ts';

let home: string;
beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'cache-'))));
afterEach(() => {
  chmodSync(home, 0o755);
  rmSync(home, { recursive: true, force: true });
});

/** A file where a folder is needed: not even root can write there. */
function blocked(name: string): string {
  writeFileSync(join(home, name), '');
  return join(home, name);
}

it('is the repository’s own, else the user’s, else a temporary one of theirs alone, else none', () => {
  const root = join(home, 'repository');
  const env = { XDG_CACHE_HOME: join(home, 'user') };
  expect(cacheFolder(root, 'datasets', env)).toBe(join(root, '.cache', 'datasets'));

  const other = blocked('blocked');
  const users = join(home, 'user', 'pacerid-studio');
  expect(cacheFolder(other, 'datasets', env)).toBe(join(users, 'datasets'));
  expect(statSync(users).mode & 0o777).toBe(0o700);
  expect(readdirSync(join(users, 'datasets'))).toEqual([]);
  // A relative XDG_CACHE_HOME counts for nothing.
  expect(cachePlaces(other, { XDG_CACHE_HOME: 'user', HOME: home })[1]).toBe(join(home, '.cache', 'pacerid-studio'));

  const before = process.env.TMPDIR;
  try {
    process.env.TMPDIR = home;
    const nowhere = { XDG_CACHE_HOME: other };
    const temporary = cacheFolder(other, 'bundles/cli', nowhere);
    expect(temporary).toMatch(/pacerid-studio-\d+\/bundles\/cli$/);
    // Where others may write, somebody could put a program for us to run.
    const place = dirname(dirname(temporary ?? ''));
    chmodSync(place, 0o777);
    expect(cacheFolder(other, 'bundles/cli', nowhere)).toBeNull();
    process.env.TMPDIR = other;
    expect(cacheFolder(other, 'datasets', nowhere)).toBeNull();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
});

// The rights of a folder are what it is about; to root nothing is forbidden, so there it runs as another user.
it.runIf(nobodyCanRead)(
  'a repository that the user may not write to',
  async () => {
    const repository = join(home, 'repository');
    for (const name of ['src', 'scripts', 'configs', 'package.json', 'package-lock.json'])
      cpSync(name, join(repository, name), { recursive: true });
    symlinkSync(join(process.cwd(), 'node_modules'), join(repository, 'node_modules'));
    const mine = join(home, 'mine');
    const images = { ...(await jpegs('set/Train/A', 6, 0)), ...(await jpegs('set/Train/B', 6, 50)) };
    for (const [path, bytes] of Object.entries(images)) {
      mkdirSync(dirname(join(mine, path)), { recursive: true });
      writeFileSync(join(mine, path), bytes);
    }
    chmodSync(mine, 0o777);
    chmodSync(home, 0o755);
    chmodSync(repository, 0o555);
    const cli = (args: readonly string[], cache = mine) => {
      const env = { XDG_CACHE_HOME: cache, HOME: cache, TMPDIR: cache };
      const script = join(repository, 'scripts', 'cli.mjs');
      return startProcess(process.execPath, [script, ...args], { cwd: mine, env, under: asNobody }).ended;
    };
    const before = readdirSync(repository);
    const settings = ['model.architecture=tiny', 'model.pretrained=false', 'data.img_size=32', 'training.device=wasm'];
    const flags = settings.flatMap((one) => ['--set', one]);
    const trained = await cli(['train', '--data', 'set', '--epochs', '1', ...flags]);
    expect(trained).toMatchObject({ code: 0, stderr: '' });
    const cache = join(mine, 'pacerid-studio');
    expect(trained.stdout.match(/Decoded images are kept in .*/g)).toEqual([
      `Decoded images are kept in ${cache}/datasets for the next time; npm run clear-cache removes them.`,
    ]);
    expect(readdirSync(cache).sort()).toEqual(['bundles', 'datasets']);
    expect(readdirSync(repository)).toEqual(before);

    const cleared = await cli(['clear-cache']);
    expect(cleared.stdout).toMatch(
      new RegExp(`^Removed 0\\.\\d MB of decoded images \\(\\d+ files\\): ${cache}/datasets\\n$`),
    );
    expect(readdirSync(cache)).toEqual(['bundles']);
    expect((await cli(['clear-cache'])).stdout).toContain('There are no decoded images in ');

    const longer = await cli(['train', '--data', 'set', '--no-cache', '--resume', '--epochs', '2', ...flags]);
    expect(longer).toMatchObject({ code: 0, stderr: '' });
    expect(longer.stdout).toMatch(/^ +2\/2 │/m);
    const judged = await cli(['evaluate', '--data', 'set', '--no-cache', '--split', 'train']);
    expect(judged).toMatchObject({ code: 0, stderr: '' });
    expect(judged.stdout).not.toContain('are kept');
    expect(readdirSync(cache)).toEqual(['bundles']);

    const nowhere = await cli(['versions'], join(mine, 'set', 'Train', 'A', '0.jpg'));
    expect(nowhere.code).toBe(1);
    expect(nowhere.stderr).toMatch(/^NoCacheFolderError: .*\nKept: .*\nWhat to do: .*XDG_CACHE_HOME.*\n$/);
  },
  60_000,
);
