import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import JSZip from 'jszip';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { classTable, countClasses } from '../../../src/cli/kaggle/classes.ts';
import { laidOut, moveIn, unpack, waitingIn } from '../../../src/cli/kaggle/layOut.ts';
import { checkPlace, pointTo, unpoint } from '../../../src/cli/kaggle/links.ts';

let home: string;
let raw: string;
let zip: string;
beforeEach(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'layout-')));
  raw = join(home, 'raw');
  zip = join(raw, 'pacemakers.zip');
  await mkdir(raw);
});
afterEach(() => rm(home, { recursive: true, force: true }));

const never = new AbortController().signal;
async function unpackThe(paths: readonly string[]) {
  const archive = new JSZip();
  for (const path of paths) archive.file(path, `content of ${path}`, { createFolders: false });
  await writeFile(zip, await archive.generateAsync({ type: 'uint8array' }));
  return unpack(zip, raw, 'o/s', { signal: never, onProgress: () => undefined });
}
async function listed(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory()).map(({ parentPath, name }) => join(parentPath, name));
  return files.map((path) => path.slice(folder.length + 1)).sort();
}

describe('a zip is laid out', () => {
  it('from however deep its Train and Test lie, with what lies deeper in a class', async () => {
    const { receipt, skipped } = await unpackThe([
      'archive/Pacemakers/train/a/1.jpg',
      'archive/Pacemakers/train/b/left/2.jpg',
      'archive/Pacemakers/TEST/a/1.jpg',
      'archive/Pacemakers/valid/b/3.png',
      'archive/readme.txt',
      '__MACOSX/archive/Pacemakers/train/a/._1.jpg',
    ]);
    expect(receipt).toEqual({ dataset: 'o/s', folders: ['Test', 'Val', 'Train'], files: 4, skipped: 1 });
    expect(skipped[0]?.path).toBe('archive/readme.txt');
    await moveIn(raw, receipt);
    expect(await listed(raw)).toEqual([
      '.downloaded.json',
      'Test/a/1.jpg',
      'Train/a/1.jpg',
      'Train/b/left/2.jpg',
      'Val/b/3.png',
      'pacemakers.zip',
    ]);
    expect(await readFile(join(raw, 'Train/b/left/2.jpg'), 'utf8')).toBe(
      'content of archive/Pacemakers/train/b/left/2.jpg',
    );
    expect(classTable(await countClasses(raw, receipt.folders), receipt.folders)).toBe(
      [
        'Class               Train  Val  Test',
        'a                       1    0     1',
        'b                       1    1     0',
        '2 classes, 4 files      2    1     1',
      ].join('\n'),
    );
  });

  it('a flat one becomes Train', async () => {
    const { receipt } = await unpackThe(['x/a/1.jpg', 'x/b/2.jpg']);
    await moveIn(raw, receipt);
    expect(receipt.folders).toEqual(['Train']);
    expect(await listed(join(raw, 'Train'))).toEqual(['a/1.jpg', 'b/2.jpg']);
  });

  it('paths that lead out stay out', async () => {
    const { receipt, skipped } = await unpackThe([
      'Train/a/1.jpg',
      'Train/b/2.jpg',
      'Train/a/../../../../../escaped.jpg',
      '/Train/a/absolute.jpg',
      'Train/a/..\\..\\..\\escaped.jpg',
      'C:\\Train\\a\\escaped.jpg',
    ]);
    expect(skipped.map(({ reason }) => reason)).toEqual(Array(4).fill('unsafe path'));
    await moveIn(raw, receipt);
    expect(await listed(join(raw, 'Train'))).toEqual(['a/1.jpg', 'b/2.jpg']);
    expect((await readdir(home)).sort()).toEqual(['raw']);
    expect((await readdir(tmpdir())).filter((name) => name.endsWith('.jpg'))).toEqual([]);
  });

  it('one class in composed and decomposed letters is one; of two files in one place the first stays', async () => {
    const composed = 'Z\u00fcrich';
    const decomposed = 'Zu\u0308rich';
    const { receipt, skipped } = await unpackThe([
      `Train/${composed}/1.jpg`,
      `Train/${decomposed}/1.jpg`,
      `Train/${decomposed}/2.jpg`,
      'Train/b/1.jpg',
    ]);
    expect(receipt.files).toBe(3);
    expect(skipped).toEqual([expect.objectContaining({ reason: 'a second file of this name' })]);
    await moveIn(raw, receipt);
    expect((await readdir(join(raw, 'Train'))).sort()).toEqual([composed, 'b'].sort());
  });

  it('damage within is found by the zip’s own CRC, and nothing is laid out', async () => {
    const archive = new JSZip();
    for (const path of ['Train/a/1.jpg', 'Train/b/1.jpg']) archive.file(path, 'the content of this picture');
    const bytes = Buffer.from(await archive.generateAsync({ type: 'uint8array', compression: 'STORE' }));
    bytes[bytes.lastIndexOf('content of')] = 0x43;
    await writeFile(zip, bytes);
    const error = unpack(zip, raw, 'o/s', { signal: never, onProgress: () => undefined });
    await expect(error).rejects.toMatchObject({
      name: 'DamagedZipError',
      message: expect.stringContaining('“Train/b/1.jpg” does not match its checksum'),
      remedy: expect.stringContaining('--force'),
    });
    expect(await waitingIn(raw)).toBe(null);
    await writeFile(zip, bytes.subarray(0, 200));
    await expect(unpack(zip, raw, 'o/s', { signal: never, onProgress: () => undefined })).rejects.toMatchObject({
      name: 'DamagedZipError',
      message: expect.stringContaining('incomplete or damaged'),
    });
  });

  it('no images, or stopped: named, and nothing is laid out', async () => {
    await expect(unpackThe(['readme.txt'])).rejects.toMatchObject({ name: 'NoImagesInZipError' });
    await unpackThe(['Train/a/1.jpg', 'Train/b/1.jpg']);
    const stopped = unpack(zip, raw, 'o/s', { signal: AbortSignal.abort(), onProgress: () => undefined });
    await expect(stopped).rejects.toMatchObject({ name: 'LayOutStoppedError' });
    expect(await waitingIn(raw)).toBe(null);
    expect(await laidOut(raw)).toBe(null);
  });
});

describe('moving into place', () => {
  /** What a process leaves that is killed after so many renames, done here by hand. */
  const steps: readonly [string, (staging: string) => Promise<void>][] = [
    ['before the first', () => Promise.resolve()],
    ['with the old Test aside', (staging) => rename(join(raw, 'Test'), join(staging, 'old-Test'))],
    [
      'with the new Test in',
      async (staging) => {
        await rename(join(raw, 'Test'), join(staging, 'old-Test'));
        await rename(join(staging, 'Test'), join(raw, 'Test'));
      },
    ],
    [
      'with all in, before the receipt',
      async (staging) => {
        for (const folder of ['Test', 'Val', 'Train']) await rename(join(raw, folder), join(staging, `old-${folder}`));
        for (const folder of ['Test', 'Train']) await rename(join(staging, folder), join(raw, folder));
      },
    ],
  ];
  it.each(steps)('is finished by the next process when one is killed %s', async (_, killed) => {
    await moveIn(raw, (await unpackThe(['Train/old/1.jpg', 'Train/o/1.jpg', 'Val/o/1.jpg', 'Test/o/1.jpg'])).receipt);
    await unpackThe(['Train/new/1.jpg', 'Train/n/1.jpg', 'Test/n/1.jpg']);
    await killed(join(raw, '.extracting'));
    const waiting = await waitingIn(raw);
    expect(waiting?.files).toBe(3);
    await moveIn(raw, waiting!);
    expect(await listed(raw)).toEqual([
      '.downloaded.json',
      'Test/n/1.jpg',
      'Train/n/1.jpg',
      'Train/new/1.jpg',
      'pacemakers.zip',
    ]);
    expect(await laidOut(raw)).toEqual(waiting);
  });
});

describe('the places that the trainer reads', () => {
  const plain = { force: false, copy: false };
  let target: string;
  let place: string;
  beforeEach(async () => {
    target = join(raw, 'Train');
    place = join(home, 'processed', 'Train');
    await mkdir(join(target, 'a'), { recursive: true });
    await writeFile(join(target, 'a', '1.jpg'), 'x');
  });

  it('are relative links; again is no change; the folder itself needs none', async () => {
    expect(await pointTo(place, target, plain)).toBe('link');
    expect(await readlink(place)).toBe('../raw/Train');
    expect(await pointTo(place, target, plain)).toBe('link');
    expect(await pointTo(target, target, plain)).toBe('same');
    expect(await readFile(join(target, 'a', '1.jpg'), 'utf8')).toBe('x');
  });

  it('are relative links from where a linked folder really lies', async () => {
    await mkdir(join(home, 'disk', 'deep'), { recursive: true });
    await symlink(join(home, 'disk', 'deep'), join(home, 'processed'));
    await pointTo(place, target, plain);
    expect(await realpath(place)).toBe(target);
  });

  it('replace a link that leads nowhere; not the user’s link or folder, unless forced, and then not what it leads to', async () => {
    await mkdir(join(home, 'processed'));
    await symlink('../gone', place);
    expect(await pointTo(place, target, plain)).toBe('link');
    await rm(place);
    await mkdir(join(home, 'mine'));
    await writeFile(join(home, 'mine', 'x'), 'mine');
    await symlink('../mine', place);
    await expect(pointTo(place, target, plain)).rejects.toMatchObject({ name: 'ExistingDataError' });
    await expect(checkPlace(place, target)).rejects.toMatchObject({ name: 'ExistingDataError' });
    await unpoint(place, target);
    expect(await readlink(place)).toBe('../mine');
    expect(await pointTo(place, target, { force: true, copy: false })).toBe('link');
    expect(await readFile(join(home, 'mine', 'x'), 'utf8')).toBe('mine');
  });

  it('may be copies, which go when the images change', async () => {
    expect(await pointTo(place, target, { force: false, copy: true })).toBe('copy');
    expect(await readFile(join(place, 'a', '1.jpg'), 'utf8')).toBe('x');
    expect(await pointTo(place, target, plain)).toBe('copy');
    await unpoint(place, target);
    expect(await readdir(join(home, 'processed'))).toEqual([]);
    expect(await readFile(join(target, 'a', '1.jpg'), 'utf8')).toBe('x');
  });
});
