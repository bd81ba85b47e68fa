/** The short form of `npm run verify -- kills`: two kills of each command. */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fnv1a32, random } from '../../../src/random.ts';
import { killOften, type Target } from '../../verify/headless/killing.ts';
import { checkpoints, downloads, killHome, prepareVersions, versions } from '../../verify/headless/killTargets.ts';

describe('a command that is killed leaves nothing half-written, and ends well when it is run again', () => {
  const home = killHome(tmpdir());
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  let places: Awaited<ReturnType<typeof prepareVersions>>;
  beforeAll(async () => {
    places = await prepareVersions(home);
  }, 120_000);

  const kill = async (target: Target): Promise<void> => {
    const { kills, rounds, resumed, faults } = await killOften(target, 2, random(1, fnv1a32(target.name)));
    expect(faults).toEqual([]);
    expect([kills, resumed]).toEqual([2, rounds]);
  };

  it('train', () => kill(checkpoints(home, { epochs: 2 })), 120_000);
  it('sync-model, making a version', () => kill(versions(home, places, 'versions')), 120_000);
  it('sync-model, replacing a package', () => kill(versions(home, places, 'sync')), 120_000);
  it('download-data', async () => {
    const target = await downloads(home, 0.3);
    await kill(target).finally(() => target.close());
  }, 120_000);

  // Too short to be hit by chance: the old package has gone aside, the new one has not yet come.
  it('sync-model, killed between the two renames', async () => {
    const round = await versions(home, places, 'sync').round();
    const ios = join(round.place, 'ios');
    const name = 'PacerIDClassifier.mlpackage';
    renameSync(join(ios, name), join(ios, `.${name}.old`));
    const { faults, left } = round.inspect();
    expect({ faults, left }).toMatchObject({ faults: [], left: expect.stringContaining('package: none, .….old') });
    const ended = await round.command.start().ended;
    expect(ended.code).toBe(0);
    expect(existsSync(join(ios, name))).toBe(true);
    expect(round.compare(ended)).toEqual([]);
    round.dispose();
  }, 120_000);
});
