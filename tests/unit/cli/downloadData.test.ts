import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockFolder } from '../../../src/platform/node/folderLock.ts';
import { runCli, startCli, startProcess, type CliProcess, type Ended } from '../support/cli.ts';
import { startKaggleServer, type KaggleServer } from '../support/kaggleServer.ts';
import { filesOf, pacemakers, zipOf } from '../support/pacemakersZip.ts';

const files = filesOf(pacemakers);
const bytes = await zipOf(files);
const key = '0123456789abcdef';

/** Where a user may have mounts of their own, as on most Linux machines. */
const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0;

let server: KaggleServer;
let home: string;
beforeEach(async () => {
  server = await startKaggleServer({ zip: bytes, dataset: 'jamesphoward/pacemakers', username: 'somebody', key });
  home = await realpath(await mkdtemp(join(tmpdir(), 'kaggle-')));
});
afterEach(async () => {
  await server.close();
  await rm(home, { recursive: true, force: true });
});

const raw = (...names: string[]) => join(home, 'datasets', 'raw', ...names);
const processed = (...names: string[]) => join(home, 'datasets', 'processed', ...names);
const quick = ['--tries', '3', '--first-wait', '0.05'];
function options(env: Record<string, string | undefined> = {}) {
  const none = { KAGGLE_API_TOKEN: undefined, KAGGLE_CONFIG_DIR: undefined, XDG_CONFIG_HOME: undefined };
  const user = { KAGGLE_USERNAME: 'somebody', KAGGLE_KEY: key };
  return { cwd: home, env: { ...none, ...user, HOME: home, KAGGLE_API_ENDPOINT: server.endpoint, ...env } };
}
const run = (args: string[] = [], env: Record<string, string | undefined> = {}): Promise<Ended> =>
  runCli(['download-data', ...quick, ...args], options(env));
const start = (args: string[] = []): CliProcess => startCli(['download-data', ...quick, ...args], options());

/** Every file of the zip lies where it belongs, byte for byte, and nothing else. */
async function expectWhole(): Promise<void> {
  const found = new Map<string, Buffer>();
  for (const folder of ['Train', 'Test']) {
    const entries = await readdir(processed(folder), { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((one) => one.isFile())) {
      const path = join(entry.parentPath, entry.name);
      found.set(`Pacemakers/${folder}/${path.slice(processed(folder).length + 1)}`, await readFile(path));
    }
  }
  expect([...found.keys()].sort()).toEqual([...files.keys()].sort());
  for (const [path, content] of files) expect(found.get(path)?.equals(content), path).toBe(true);
  expect((await readdir(raw())).sort()).toEqual(['.downloaded.json', 'Test', 'Train']);
}

describe('npm run download-data', () => {
  it('fetches, lays out as the original does, and says what there is', async () => {
    const { code, stdout, stderr } = await run();
    expect(stderr).toBe('');
    expect(code).toBe(0);
    await expectWhole();
    expect(await readlink(processed('Train'))).toBe('../raw/Train');
    expect(await readlink(processed('Test'))).toBe('../raw/Test');
    expect(stdout).toMatch(/^Class +Train +Test$/m);
    expect(stdout).toMatch(/^Biotronik Actros +4 +2$/m);
    expect(stdout).toMatch(/^Zürich Ünité +2 +1$/m);
    expect(stdout).toMatch(/^3 classes, 13 files +9 +4$/m);
    expect(stdout).toContain('Next: npm run train');
    expect(stdout).toMatch(/pacemakers\.zip: 100 %, \d+ kB of \d+ kB/);
    expect(stdout).not.toContain('\r');
    expect(stdout).not.toContain(key);

    const asked = server.asked.length;
    const again = await run([], { KAGGLE_KEY: undefined, KAGGLE_USERNAME: undefined });
    expect(again.code).toBe(0);
    expect(again.stdout).toContain('is laid out already');
    expect(again.stdout).toMatch(/^3 classes, 13 files/m);
    expect(server.asked.length).toBe(asked);
  });

  it('a warning where others can read kaggle.json; --json; --keep-zip; other folders', async () => {
    await mkdir(join(home, '.kaggle'));
    const file = join(home, '.kaggle', 'kaggle.json');
    await writeFile(file, JSON.stringify({ username: 'somebody', key }));
    await chmod(file, 0o644);
    const child = startCli(
      ['download-data', '--json', '--keep-zip', '--set', 'data.train_dir=here/Train', '--set', 'data.test_dir=there/T'],
      options({ KAGGLE_KEY: undefined, KAGGLE_USERNAME: undefined }),
    );
    expect((await child.event('warning')).text).toContain(`chmod 600 ${file}`);
    const data = await child.event('data');
    expect(data.classes).toContainEqual({ name: 'Medtronic Advisa', train: 3, val: 0, test: 1 });
    const { code, stdout, stderr } = await child.ended;
    expect(code).toBe(0);
    expect(child.events.filter(({ type }) => type === 'progress').at(-1)).toMatchObject({ phase: 'unpack' });
    expect(`${stdout}${stderr}`).not.toContain(key);
    expect(await realpath(join(home, 'here', 'Train'))).toBe(raw('Train'));
    expect(await realpath(join(home, 'there', 'T'))).toBe(raw('Test'));
    expect((await readFile(raw('pacemakers.zip'))).equals(bytes)).toBe(true);
    // The zip that is there is not fetched again, nor is it needed on Kaggle.
    await rm(raw('.downloaded.json'));
    await rm(raw('Train'), { recursive: true });
    await rm(raw('Test'), { recursive: true });
    await rm(join(home, 'here'), { recursive: true });
    await rm(join(home, 'there'), { recursive: true });
    server.asked.length = 0;
    expect((await run()).code).toBe(0);
    expect(server.asked).toEqual([]);
    await expectWhole();
  });

  it('no credentials, wrong ones, rules not accepted: one sentence each, exit code 1, nothing on the disk', async () => {
    const none = await run([], { KAGGLE_KEY: undefined, KAGGLE_USERNAME: undefined });
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/^KaggleCredentialsMissingError: .*\nKept: .*\nWhat to do: 1\. /);
    const wrong = await run([], { KAGGLE_KEY: 'fedcba9876' });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('KaggleCredentialsRejectedError');
    expect(`${wrong.stdout}${wrong.stderr}`).not.toContain('fedcba9876');
    server.behaviour.api = () => ({
      status: 403,
      body: JSON.stringify({ code: 403, message: 'Accept the rules first.' }),
    });
    const rules = await run();
    expect(rules.code).toBe(1);
    expect(rules.stderr).toMatch(
      /KaggleRulesNotAcceptedError.*Accept the rules first\.\n.*\n.*datasets\/jamesphoward\/pacemakers/,
    );
    expect(existsSync(raw('pacemakers.zip'))).toBe(false);
    expect(existsSync(processed())).toBe(false);
  });

  it('killed in mid-download, then again: goes on from the part', async () => {
    server.behaviour.bytesPerSecond = 400_000;
    const child = start();
    await server.sent(150_000);
    child.kill();
    await child.ended;
    const { size } = await stat(raw('pacemakers.zip.part'));
    expect(size).toBeGreaterThan(0);
    expect(size).toBeLessThan(bytes.length);
    server.behaviour.bytesPerSecond = null;
    server.asked.length = 0;
    const again = await run();
    expect(again.code).toBe(0);
    expect(server.asked.at(-1)?.headers.range).toBe(`bytes=${size}-`);
    await expectWhole();
  });

  it('Ctrl-C: says what is kept, exit code 130', async () => {
    server.behaviour.bytesPerSecond = 400_000;
    const child = start();
    await server.sent(100_000);
    child.signal('SIGINT');
    const { code, stderr } = await child.ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(
      /download was stopped\.\nKept: .* of .*pacemakers\.zip\.part\.\nWhat to do: .*goes on where it stopped/,
    );
    expect(existsSync(raw('pacemakers.zip.part.json'))).toBe(true);
  });

  it('killed while it unpacks, then again: never half a data set', async () => {
    const many = await zipOf(filesOf({ 'Train/a': 200, 'Train/b': 200, 'Test/a': 50, 'Test/b': 50 }, 2000));
    server.behaviour.zip = many;
    const child = start(['--json']);
    await child.event('progress', 1, ({ phase }) => phase === 'unpack');
    child.kill();
    await child.ended;
    expect(existsSync(processed('Train'))).toBe(false);
    expect(existsSync(raw('Train'))).toBe(false);
    expect(existsSync(raw('.extracting'))).toBe(true);
    server.asked.length = 0;
    const again = await run();
    expect(again.code).toBe(0);
    expect(server.asked).toEqual([]);
    expect(again.stdout).toMatch(/^2 classes, 500 files +400 +100$/m);
    expect(existsSync(raw('.extracting'))).toBe(false);
  });

  it('--force takes nothing that an earlier run has unpacked', async () => {
    await mkdir(raw('.extracting', 'Train', 'old'), { recursive: true });
    await writeFile(raw('.extracting', 'Train', 'old', '1.jpg'), 'old');
    const receipt = { dataset: 'jamesphoward/pacemakers', folders: ['Train'], files: 1, skipped: 0 };
    await writeFile(raw('.extracting', 'whole.json'), JSON.stringify(receipt));
    expect((await run(['--force'])).code).toBe(0);
    await expectWhole();
  });

  it('one process at a time fetches into a folder', async () => {
    const lock = await lockFolder(raw(), { name: 'download', doing: 'is busy in', instead: 'wait.' });
    const { code, stderr } = await run();
    expect(code).toBe(1);
    expect(stderr).toContain(`FolderInUseError: Process ${process.pid} is fetching images into ${raw()} now.`);
    expect(server.asked).toEqual([]);
    await lock.release();
    expect(existsSync(join(home, 'datasets'))).toBe(false);
  });

  it('what is there already is not replaced without --force', async () => {
    await mkdir(raw('Train', 'mine'), { recursive: true });
    await writeFile(raw('Train', 'mine', 'x.jpg'), 'mine');
    const refused = await run();
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('ExistingDataError: datasets/raw/Train is there already');
    expect(server.asked).toEqual([]);
    expect(await readFile(raw('Train', 'mine', 'x.jpg'), 'utf8')).toBe('mine');
    expect((await run(['--force'])).code).toBe(0);
    await expectWhole();
    // And once more: what this command has laid out itself.
    const forced = await run(['--force', '--copy']);
    expect(forced.code).toBe(0);
    expect((await lstat(processed('Train'))).isDirectory()).toBe(true);
    expect(await readdir(processed('Train'))).toContain('Zürich Ünité');
  });

  it.runIf(canMount)(
    'a full disk, in the download and in unpacking: says how much room is needed, goes on when there is',
    async () => {
      await mkdir(raw(), { recursive: true });
      const again = `node ${join(process.cwd(), 'scripts', 'cli.mjs')} download-data; echo "code $?"; ls -A ${raw()}`;
      // A disk of its own that only these processes see.
      const script = [
        `mount -t tmpfs -o size=200k tmpfs ${raw()}`,
        again,
        `mount -o remount,size=600k ${raw()}`,
        again,
        `mount -o remount,size=2m ${raw()}`,
        again,
      ].join(' && ');
      const { code, stdout, stderr } = await startProcess('unshare', ['-rm', 'sh', '-c', script], options()).ended;
      expect(code, stderr).toBe(0);
      expect(stderr).toMatch(
        /NoRoomForDownloadError: The disk is full: .*zip\.part needs \d+ kB more, 0 bytes are free\.\nKept: \d+ kB of \d+ kB, in .*part/,
      );
      expect(stderr).toMatch(/NoRoomForDownloadError: .*\.extracting.* needs \d+ kB more.*\nKept: The whole zip/);
      expect(stdout).toMatch(
        /code 1\npacemakers\.zip\.part\npacemakers\.zip\.part\.json\n[^]*code 1\npacemakers\.zip\npacemakers\.zip\.json\n/,
      );
      expect(stdout).toMatch(/3 classes, 13 files +9 +4\n[^]*code 0\n\.downloaded\.json\nTest\nTrain\n$/);
      expect(server.asked.filter(({ host }) => host === 'storage').map(({ headers }) => headers.range)).toEqual([
        undefined,
        // All of 200 kB but the pages of a lock and a note.
        expect.stringMatching(/^bytes=19\d{4}-$/),
      ]);
    },
  );
});
