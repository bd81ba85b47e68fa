/**
 * Bundles a TypeScript entry for Node. tfjs must be bundled by its `module` fields (its CommonJS builds register no gradients, and
 * would make a second tfjs-core); packages with native parts stay outside, and so does fast-png: fflate's Node build declares a
 * `require` of its own. Source maps are on, so that stack traces name the TypeScript.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from '../src/cli/cacheFolder.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Writes `entry.mjs`, its chunks and source maps to `outDir`; answers with the path of `entry.mjs`. */
export async function bundle(entry, outDir) {
  // Loaded only where something has to be built.
  const { build } = await import('vite');
  await build({
    root,
    configFile: false,
    publicDir: false,
    logLevel: 'error',
    build: {
      ssr: entry,
      outDir,
      emptyOutDir: false,
      minify: false,
      sourcemap: true,
      target: 'node20',
      rollupOptions: {
        output: {
          entryFileNames: 'entry.mjs',
          chunkFileNames: 'chunk-[name].mjs',
          // Node packages that ship in the bundle read `require` and `__dirname`.
          banner:
            "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); const __dirname = import.meta.dirname; const __filename = import.meta.filename;",
        },
      },
    },
    define: { __PROJECT_ROOT__: JSON.stringify(root) },
    resolve: { mainFields: ['module', 'main'] },
    ssr: {
      noExternal: true,
      external: ['sharp', 'webgpu', 'fast-png', 'vite', 'esbuild', '@playwright/test'],
      target: 'node',
    },
  });
  return join(outDir, 'entry.mjs');
}

/**
 * As `bundle`, kept in `bundles/NAME/` of the cache folder while the sources stay as they are; null where there is no folder to keep
 * it in. It is built in a folder of its own and renamed: commands that start at the same time each see a whole one. A bundle that
 * a living process uses is not removed: its chunks are loaded when they are asked for.
 */
export async function cachedBundle(entry, name) {
  const home = cacheFolder(root, join('bundles', name));
  if (home === null) return null;
  const folder = join(home, fingerprint(entry));
  const found = join(folder, 'entry.mjs');
  if (!existsSync(found)) {
    const staged = join(home, `.building-${process.pid}-${randomBytes(4).toString('hex')}`);
    mkdirSync(staged, { recursive: true });
    try {
      await bundle(entry, staged);
      // Outside the repository, packages that stay outside the bundle would not be found.
      if (!home.startsWith(root + sep))
        symlinkSync(join(root, 'node_modules'), join(staged, 'node_modules'), 'junction');
      renameSync(staged, folder);
    } catch (error) {
      rmSync(staged, { recursive: true, force: true });
      // Another command may have put the same bundle there meanwhile.
      if (!existsSync(found)) throw error;
    }
    sweep(home);
  }
  use(folder);
  return found;
}

/** Of everything that the bundle is made of: paths, sizes, times of change. */
function fingerprint(entry) {
  const hash = createHash('sha256').update(`${process.version}\n${root}\n${relative(root, entry)}\n`);
  const add = (path) => {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${relative(root, path)} ${size} ${mtimeMs}\n`);
  };
  for (const folder of ['src', 'configs']) {
    const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
    const files = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath ?? one.path, one.name));
    for (const file of files.sort()) add(file);
  }
  for (const file of ['package-lock.json', 'scripts/bundle-cli.mjs']) add(join(root, file));
  return hash.digest('hex').slice(0, 16);
}

const KEPT = 3;

/** Marks the bundle as used by this process, and as used lately. */
function use(folder) {
  try {
    const now = new Date();
    utimesSync(folder, now, now);
    const mark = join(folder, `used-by-${process.pid}`);
    writeFileSync(mark, '');
    process.on('exit', () => rmSync(mark, { force: true }));
  } catch {
    // A folder that can't be written, or was removed just now by hand: the bundle runs all the same.
  }
}

/** Removes bundles that are neither among the newest nor in use, and what a kill left half-built. */
function sweep(home) {
  const folders = readdirSync(home).map((name) => join(home, name));
  const age = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const newestFirst = folders.sort((a, b) => age(b) - age(a));
  for (const folder of newestFirst.slice(KEPT)) {
    try {
      const building = /\.building-(\d+)-/.exec(folder);
      const users = building ? [building[1]] : readdirSync(folder).map((file) => /^used-by-(\d+)$/.exec(file)?.[1]);
      if (!users.some((pid) => pid !== undefined && isAlive(Number(pid)))) rmSync(folder, { recursive: true });
    } catch {
      // Another command sweeps too.
    }
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
