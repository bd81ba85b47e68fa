import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { importFiles } from '../../../src/dataset/import.ts';
import { filesFromDisk, filesFromFolders } from '../../../src/platform/node/files.ts';
import { importZip, jpegs, optionsFor, zipOf, type Files } from '../dataset/archives.ts';

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'files-'))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(files: Files): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}
const images = async (): Promise<Files> => ({
  ...(await jpegs('Train/A', 3, 0)),
  ...(await jpegs('Train/B ö', 3, 10)),
  ...(await jpegs('Test/A', 1, 20)),
  ...(await jpegs('Test/B ö', 1, 30)),
});
/** To root nothing is forbidden: runs as another user, where this is root. */
async function asSomebody<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  process.seteuid?.(65534);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}
const failure = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: unknown) => error as Error,
  );

describe('filesFromDisk', () => {
  it('reads a zip and a folder; a folder’s paths begin with its name, as where it is dropped on the page', async () => {
    write({ ...Object.fromEntries(Object.entries(await images()).map(([path, bytes]) => [`set/${path}`, bytes])) });
    const folder = await filesFromDisk(join(root, 'set'));
    expect(folder).toMatchObject({ name: 'set', source: 'folder' });
    expect(folder.files.map(({ path }) => path)).toContain('set/Train/B ö/2.jpg');
    expect((await filesFromDisk(`${join(root, 'set')}/`)).files.map(({ path }) => path)).toEqual(
      folder.files.map(({ path }) => path),
    );
    write({ 'set.zip': new Uint8Array(await (await zipOf(await images())).arrayBuffer()) });
    const zip = await filesFromDisk(join(root, 'set.zip'));
    expect(zip).toMatchObject({ name: 'set.zip', source: 'zip' });
    expect(zip.listing).toEqual([
      { path: 'set.zip', bytes: zip.files[0]?.file.size, modified: expect.any(Number) as number },
    ]);
    expect((await importFiles(zip, optionsFor())).images).toHaveLength(8);
  });

  it('follows links to folders and files, and does not run in circles', async () => {
    write({ 'raw/Train/A/0.jpg': 'a', 'raw/Train/B/0.jpg': 'b', 'elsewhere/1.jpg': 'c' });
    mkdirSync(join(root, 'processed'));
    symlinkSync('../raw/Train', join(root, 'processed/Train'));
    symlinkSync('../../../elsewhere/1.jpg', join(root, 'raw/Train/A/linked.jpg'));
    symlinkSync('..', join(root, 'raw/Train/A/up'));
    symlinkSync('.', join(root, 'processed/self'));
    const { files } = await filesFromDisk(join(root, 'processed'));
    expect(files.map(({ path }) => path).sort()).toEqual([
      'processed/Train/A/0.jpg',
      'processed/Train/A/linked.jpg',
      'processed/Train/B/0.jpg',
    ]);
  });

  it('leaves a link that leads nowhere to the import to list', async () => {
    write(await images());
    symlinkSync('nowhere.jpg', join(root, 'Train/A/lost.jpg'));
    const { skipped, images: found } = await importFiles(await filesFromDisk(root), optionsFor());
    expect(found).toHaveLength(8);
    expect(skipped).toEqual([
      {
        path: expect.stringMatching(/Train\/A\/lost\.jpg$/) as string,
        reason: 'cannot be read (it is not there, or its link leads nowhere)',
      },
    ]);
  });

  it('says what is wrong with a path', async () => {
    write({ 'empty.zip': '', 'file.txt': 'x' });
    mkdirSync(join(root, 'empty/inner'), { recursive: true });
    symlinkSync('b', join(root, 'a'));
    symlinkSync('a', join(root, 'b'));
    const names = await Promise.all(
      ['missing', 'file.txt/x', 'empty', 'empty.zip', 'a'].map(
        async (path) => (await failure(filesFromDisk(join(root, path))))?.name,
      ),
    );
    expect(names).toEqual([
      'NoSuchPathError',
      'NoSuchPathError',
      'EmptyPathError',
      'EmptyPathError',
      'UnreadablePathError',
    ]);
    expect((await failure(filesFromDisk(join(root, 'missing'))))?.message).toContain(join(root, 'missing'));
  });

  it('says so where a folder or a zip may not be read, and lists a file that may not be', async () => {
    write({ ...(await images()), 'Train/A/mine.jpg': 'x' });
    chmodSync(root, 0o755);
    chmodSync(join(root, 'Train/A/mine.jpg'), 0);
    const { skipped } = await asSomebody(async () => importFiles(await filesFromDisk(root), optionsFor()));
    expect(skipped.map(({ reason }) => reason)).toEqual([expect.stringMatching(/^cannot be read \(.+\)$/)]);
    expect((await asSomebody(() => failure(filesFromDisk(join(root, 'Train/A/mine.jpg')))))?.name).toBe(
      'UnreadablePathError',
    );
    chmodSync(join(root, 'Train'), 0);
    const error = await asSomebody(() => failure(filesFromDisk(root)));
    expect([error?.name, error?.message]).toEqual([
      'UnreadablePathError',
      expect.stringContaining(join(root, 'Train')) as string,
    ]);
  });
});

describe('filesFromFolders', () => {
  it('gives the hash, classes and splits of a zip that holds the same files under Train and Test', async () => {
    const files = await images();
    const val = await jpegs('Val/A', 2, 40);
    write({ ...files, ...val });
    const one = await importFiles(await filesFromFolders(join(root, 'Train'), `${join(root, 'Test')}/`), optionsFor());
    const other = await importZip(await zipOf({ ...files, ...val }));
    expect(one.hash).toBe(other.hash);
    expect(one.classes).toEqual(other.classes);
    expect(one.images.map(({ path, given }) => [path, given])).toEqual(
      other.images.map(({ path, given }) => [path, given]),
    );
    expect(one.images.filter(({ given }) => given === 'val')).toHaveLength(2);
  });

  it('calls them Train and Test whatever they are called and wherever they lie, links included; Test may be absent', async () => {
    const files = await images();
    write(
      Object.fromEntries(
        Object.entries(files).map(([path, bytes]) => [
          path.replace('Train', 'x/pictures').replace('Test', 'y/others'),
          bytes,
        ]),
      ),
    );
    mkdirSync(join(root, 'processed'));
    symlinkSync('../x/pictures', join(root, 'processed/Train'));
    const hash = (await importZip(await zipOf(files))).hash;
    const linked = await filesFromFolders(join(root, 'processed/Train'), join(root, 'y/others'));
    expect(linked.name).toBe('processed');
    expect((await importFiles(linked, optionsFor())).hash).toBe(hash);
    const alone = await importFiles(await filesFromFolders(join(root, 'x/pictures'), null), optionsFor());
    expect(alone.images.map(({ given }) => given)).toEqual(Array(6).fill('train'));
  });

  it('says which folder is missing or empty', async () => {
    write({ ...(await images()), 'a file': 'x' });
    mkdirSync(join(root, 'nothing'));
    const said = await failure(filesFromFolders(join(root, 'Train'), join(root, 'Tset')));
    expect([said?.name, said?.message]).toEqual(['NoSuchPathError', expect.stringContaining('Tset') as string]);
    expect((await failure(filesFromFolders(join(root, 'a file'), null)))?.name).toBe('NoSuchPathError');
    expect((await failure(filesFromFolders(join(root, 'nothing'), null)))?.name).toBe('EmptyPathError');
  });
});
