import { describe, expect, it } from 'vitest';
import { nodeFolder } from '../../../src/platform/node/folder.ts';
import { folderIn, pathInside, pathsUnder } from '../../../src/registry/paths.ts';
import type { Folder } from '../../../src/registry/types.ts';
import { memoryFolder, temporaryFolder } from './support.ts';

const kinds: [string, () => Promise<Folder>][] = [
  ['on disk', async () => nodeFolder(await temporaryFolder())],
  ['in IndexedDB', () => Promise.resolve(memoryFolder().folder)],
  ['in a folder on disk', async () => folderIn(nodeFolder(await temporaryFolder()), 'a/b')],
  ['in a folder in IndexedDB', () => Promise.resolve(folderIn(memoryFolder().folder, 'a/b'))],
];

describe.each(kinds)('a folder %s', (_, open) => {
  it('keeps what is written, and lists it by name', async () => {
    const folder = await open();
    expect([await folder.list(''), await folder.read('x'), await folder.list('x')]).toEqual([[], undefined, []]);
    for (const path of ['b/c/d.bin', 'b/a', 'a', 'bb/z']) await folder.write(path, Uint8Array.of(path.length));
    expect(await folder.list('')).toEqual(['a', 'b/', 'bb/']);
    expect(await folder.list('b')).toEqual(['a', 'c/']);
    expect(await folder.read('b/c/d.bin')).toEqual(Uint8Array.of(9));
    expect(await pathsUnder(folder, 'b')).toEqual(['a', 'c/d.bin']);
    // A folder is no file, and a file no folder.
    expect([await folder.read('b'), await folder.list('a'), await folder.read('a/x')]).toEqual([
      undefined,
      [],
      undefined,
    ]);
  });

  it('replaces files, removes files and folders, and minds none that are missing', async () => {
    const folder = await open();
    for (const path of ['b/c/d', 'b/a', 'bb/z']) await folder.write(path, Uint8Array.of(1));
    await folder.write('b/a', new Uint8Array());
    expect(await folder.read('b/a')).toEqual(new Uint8Array());
    await folder.remove('b');
    await folder.remove('none/at/all');
    expect(await pathsUnder(folder, '')).toEqual(['bb/z']);
    await folder.remove('bb/z');
    expect(await pathsUnder(folder, '')).toEqual([]);
  });
});

it('paths from settings are made plain, and stay inside', () => {
  expect(['ios', './ios/', 'a//b', '.', '', 'a\\b'].map(pathInside)).toEqual(['ios', 'ios', 'a/b', '', '', 'a/b']);
  for (const path of ['..', '../x', 'a/../../b', '/etc', '\\\\server\\x', 'C:/x'])
    expect(() => pathInside(path)).toThrow('leads out');
});
