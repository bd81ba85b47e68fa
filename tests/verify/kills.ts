/**
 * Nothing is ever half-written: 50 SIGKILLs at seeded moments over checkpoints, versions, syncs and downloads. After each, what lies there
 * is judged by hand (tests/verify/headless/wholeness.ts); then the same command must end as if nothing had happened.
 *
 *   npm run verify -- kills [--seed 1] [--kills 50] [--only checkpoints,sync] [--architecture tiny] [--verbose]
 */
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fnv1a32, random } from '../../src/random.ts';
import { checkpoints, downloads, killHome, prepareVersions, versions } from './headless/killTargets.ts';
import { killOften, type Outcome, type Target } from './headless/killing.ts';
import { option } from './headless/trainer.ts';

const seed = Number(option('seed') ?? 1);
const kills = Number(option('kills') ?? 50);
const architecture = option('architecture') ?? 'tiny';
const names = (option('only') ?? 'checkpoints,versions,sync,downloads').split(',');
const verbose = process.argv.includes('--verbose');

const home = killHome(tmpdir());
const started = performance.now();
const outcomes: Outcome[] = [];
const closing: (() => Promise<void>)[] = [];
try {
  const places = names.some((name) => name === 'versions' || name === 'sync')
    ? await prepareVersions(home, architecture)
    : null;
  for (const [i, name] of names.entries()) {
    const target = await targetOf(name, places);
    const share = Math.floor(kills / names.length) + (i < kills % names.length ? 1 : 0);
    const log = (text: string): void => void ((verbose || text.includes('✗')) && console.log(text));
    outcomes.push(await killOften(target, share, random(seed, fnv1a32(name)), log));
  }
} finally {
  for (const close of closing) await close();
  rmSync(home, { recursive: true, force: true });
}

console.log('\ntarget        kills   undisturbed   run again, ended right   broken');
for (const { name, kills, milliseconds, rounds, resumed, faults } of outcomes) {
  const seconds = `${(milliseconds / 1000).toFixed(1)} s`;
  console.log(
    `${name.padEnd(12)} ${String(kills).padStart(6)} ${seconds.padStart(13)} ${`${resumed} of ${rounds}`.padStart(24)} ${String(faults.length).padStart(8)}`,
  );
}
for (const { name, left } of outcomes) {
  console.log(`\nWhat kills left, ${name}:`);
  for (const [state, times] of [...left].sort(([, a], [, b]) => b - a))
    console.log(`${String(times).padStart(4)} × ${state}`);
}
const faults = outcomes.flatMap((outcome) => outcome.faults);
const total = outcomes.reduce((sum, outcome) => sum + outcome.kills, 0);
console.log(`\n${total} kills (seed ${seed}) in ${((performance.now() - started) / 1000).toFixed(0)} s.`);
for (const fault of faults) console.log(`✗ ${fault}`);
console.log(faults.length === 0 ? 'Nothing was ever half-written.' : `${faults.length} violations.`);
process.exit(faults.length === 0 ? 0 : 1);

async function targetOf(name: string, places: Awaited<ReturnType<typeof prepareVersions>> | null): Promise<Target> {
  if (name === 'checkpoints') return checkpoints(home, { architecture });
  if ((name === 'versions' || name === 'sync') && places !== null) return versions(home, places, name);
  if (name !== 'downloads') throw new Error(`There is no target “${name}”.`);
  const target = await downloads(home);
  closing.push(() => target.close());
  return target;
}
