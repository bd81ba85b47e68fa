#!/usr/bin/env node
/**
 * `npm run check`: types, Svelte, lint, format, import directions, dead exports; as many at a time as there are cores.
 * `npm run check -- types lint` runs only these. Ends with `N passed, N failed, N skipped`.
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
// The slowest first.
const checks = [
  { name: 'lint', command: 'eslint --cache --cache-location .cache/eslint --max-warnings 0 .' },
  { name: 'svelte', command: 'svelte-check --tsconfig ./tsconfig.json --fail-on-warnings --output human' },
  { name: 'types', command: 'tsc -p tsconfig.json' },
  { name: 'core types', command: 'tsc -p tsconfig.core.json' },
  { name: 'format', command: 'prettier --check --cache --cache-location .cache/prettier --log-level warn .' },
  { name: 'imports', command: 'depcruise --config .dependency-cruiser.cjs src' },
  { name: 'dead code', command: 'knip --no-progress' },
];

const wanted = process.argv.slice(2);
const chosen = wanted.length > 0 ? checks.filter(({ name }) => wanted.includes(name)) : checks;
if (chosen.length === 0) {
  console.error(`There are these checks: ${checks.map(({ name }) => name).join(', ')}.`);
  process.exit(2);
}

const queue = [...chosen];
let failed = 0;
await Promise.all(Array.from({ length: Math.min(availableParallelism(), queue.length) }, work));
console.log(`\n${chosen.length - failed} passed, ${failed} failed, 0 skipped`);
process.exit(failed > 0 ? 1 : 0);

async function work() {
  for (let check = queue.shift(); check; check = queue.shift()) {
    const { status, output, seconds } = await run(check.command);
    if (status === 0) console.log(`✓ ${check.name} (${seconds} s)`);
    else {
      failed++;
      console.log(`✗ ${check.name} (${seconds} s): npx ${check.command}\n${output.trimEnd()}\n`);
    }
  }
}

function run(command) {
  return new Promise((resolve) => {
    const start = performance.now();
    const child = spawn('npx', ['--no-install', ...command.split(' ')], {
      cwd: root,
      shell: process.platform === 'win32',
    });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('close', (status) =>
      resolve({ status, output, seconds: ((performance.now() - start) / 1000).toFixed(1) }),
    );
  });
}
