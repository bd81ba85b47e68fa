/** The judge of the kills, judged: it has to find what a careless writer leaves, and nothing where there is nothing to find. */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync, existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { random } from '../../../src/random.ts';
import { writeSafetensors } from '../../../src/weights/safetensors.ts';
import { killOften, type Target } from '../../verify/headless/killing.ts';
import { outputFaults, readSafetensorsByHand, versionsIn } from '../../verify/headless/wholeness.ts';
import { startProcess } from '../support/cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'pacerid-killing-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes `state.json` in two halves with a pause between them, in its place or beside it. */
const writer = (path: string, careful: boolean): string => `
  const fs = require('node:fs');
  const path = ${JSON.stringify(path)};
  const target = ${careful} ? path + '.part' : path;
  setTimeout(() => {
    const file = fs.openSync(target, 'w');
    fs.writeSync(file, '{"whole":');
    setTimeout(() => { fs.writeSync(file, 'true}'); fs.closeSync(file); fs.renameSync(target, path); }, 40);
  }, 30);
`;

function target(careful: boolean): Target {
  return {
    name: careful ? 'careful' : 'careless',
    round: () => {
      const place = mkdtempSync(join(folder, 'round-'));
      const path = join(place, 'state.json');
      return Promise.resolve({
        place,
        command: { start: () => startProcess(process.execPath, ['-e', writer(path, careful)]), folders: [place] },
        inspect: () => ({ faults: outputFaults(place), left: existsSync(path) ? 'a file' : 'nothing' }),
        compare: () => (readFileSync(path, 'utf8') === '{"whole":true}' ? [] : ['not what it should be']),
        dispose: () => rmSync(place, { recursive: true }),
      });
    },
  };
}

it('finds what a careless writer leaves, and nothing with a careful one', async () => {
  const [careless, careful] = await Promise.all([
    killOften(target(false), 6, random(1)),
    killOften(target(true), 6, random(1)),
  ]);
  expect(careless.faults.join('\n')).toMatch(/state\.json: .*JSON/);
  expect(careful).toMatchObject({ kills: 6, faults: [] });
  expect(careful.resumed).toBe(careful.rounds);
});

it('a command that fails when it is run again is a fault', async () => {
  const once = (path: string): string =>
    `const fs = require('node:fs'); if (fs.existsSync(${JSON.stringify(path)})) process.exit(3);
     fs.writeFileSync(${JSON.stringify(path)}, ''); setTimeout(() => fs.unlinkSync(${JSON.stringify(path)}), 200);`;
  const { faults } = await killOften(
    {
      name: 'once',
      round: () => {
        const place = mkdtempSync(join(folder, 'round-'));
        return Promise.resolve({
          place,
          command: { start: () => startProcess(process.execPath, ['-e', once(join(place, 'lock'))]), folders: [place] },
          inspect: () => ({ faults: [], left: 'a lock' }),
          compare: () => [],
          dispose: () => rmSync(place, { recursive: true }),
        });
      },
    },
    4,
    random(2),
  );
  expect(faults.join('\n')).toContain('exit code 3');
});

it('tells a whole safetensors file from one that was cut, and a version from one that was changed', () => {
  const place = join(folder, 'output');
  mkdirSync(place, { recursive: true });
  const path = join(place, 'checkpoint_1.safetensors');
  const tensors = new Map([['a.weight', { shape: [2, 3], data: new Float32Array(6).fill(0.5) }]]);
  writeFileSync(path, writeSafetensors(tensors, { 'pacerid.checkpoint': '{"epoch":1}' }));
  writeFileSync(join(place, 'run.json'), '{"latestEpoch":1}');
  expect(outputFaults(place)).toEqual([]);
  expect([...readSafetensorsByHand(path).tensors.keys()]).toEqual(['a.weight']);
  writeFileSync(join(place, 'run.json'), '{"latestEpoch":2}');
  expect(outputFaults(place)).toEqual(['run.json names epoch 2, and no checkpoint holds it']);
  truncateSync(path, readFileSync(path).length - 1);
  expect(outputFaults(place)[0]).toContain('checkpoint_1.safetensors');
  truncateSync(path, 20);
  expect(outputFaults(place)[0]).toContain('checkpoint_1.safetensors');

  const version = join(folder, 'models', 'versions', 'v1.0.0');
  mkdirSync(version, { recursive: true });
  // Made by coreutils' sha256sum over five files that hold their own names.
  const sums: Record<string, string> = {
    a: 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb',
    b: '3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d',
    c: '2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6',
    d: '18ac3e7343f016890c510e93f935261169d9e3f565436429830faf0934f4f8e4',
    e: '3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea',
  };
  for (const name of Object.keys(sums)) writeFileSync(join(version, name), name);
  expect(versionsIn(join(folder, 'models'))).toEqual({ whole: [], unfinished: ['v1.0.0'], faults: [] });
  const lines = Object.entries(sums).map(([name, sum]) => `${sum}  ${name}\n`);
  writeFileSync(join(version, 'SHA256SUMS'), lines.join(''));
  expect(versionsIn(join(folder, 'models'))).toEqual({ whole: ['v1.0.0'], unfinished: [], faults: [] });
  writeFileSync(join(version, 'f'), 'f');
  expect(versionsIn(join(folder, 'models')).faults).toEqual(['v1.0.0: f is not listed']);
  rmSync(join(version, 'f'));
  writeFileSync(join(version, 'c'), 'changed');
  expect(versionsIn(join(folder, 'models')).faults).toEqual(['v1.0.0: c has changed']);
});
