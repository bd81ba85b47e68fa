/** Runs one of the TypeScript entries in a folder by its name: what `npm run verify` and `npm run bench` share. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findVulkan } from './ensure-vulkan.mjs';

const root = join(import.meta.dirname, '..');

/** `command` is how the user calls it, `folder` where its entries are. Ends the process with the entry's exit status. */
export function runNamed(command, folder) {
  const names = existsSync(join(root, folder))
    ? readdirSync(join(root, folder))
        .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
        .map((file) => file.slice(0, -3))
        .sort()
    : [];
  const [name, ...args] = process.argv.slice(2);
  if (name === undefined || name === '--list' || name === '--help') {
    console.log(`npm run ${command} -- NAME, where NAME is one of these in ${folder}/:`);
    for (const known of names) console.log(`  ${known.padEnd(28)} ${firstSentence(join(root, folder, `${known}.ts`))}`);
    if (names.length === 0) console.log('  (none yet)');
    process.exit(name === undefined ? 2 : 0);
  }
  if (!names.includes(name)) {
    console.error(`There is no “${name}” in ${folder}/; npm run ${command} -- --list shows what there is.`);
    process.exit(2);
  }
  const adapter = findVulkan();
  console.log(
    `${command} ${name} · Node ${process.version} · ${adapter ? adapter.label : 'no adapter for WebGPU in Node'} · ` +
      new Date().toISOString().slice(0, 10),
  );
  const result = spawnSync(process.execPath, [join(root, 'scripts/run.mjs'), join(folder, `${name}.ts`), ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...adapter?.env },
  });
  process.exit(result.status ?? 1);
}

/** Of the comment at the head of the file. */
function firstSentence(path) {
  const comment = /^\/\*\*([\s\S]*?)\*\//.exec(readFileSync(path, 'utf8'))?.[1] ?? '';
  const text = comment
    .replace(/^\s*\* ?/gm, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return /^.*?[.:](?= |$)/.exec(text)?.[0] ?? text;
}
