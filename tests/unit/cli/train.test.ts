import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MetricsFile } from '../../../src/training/metricsFile.ts';
import { cliOrFail, runCli, startCli, startProcess } from '../support/cli.ts';

/** A run of a second or two: 30 images to train on, 6 for validation, 18 for Test. */
const small = `
data:
  source: sample
  img_size: 32
  batch_size: 8
  sample: { classes: 6, train_per_class: 6, test_per_class: 3, size: 64 }
model: { architecture: tiny, pretrained: false }
training: { epochs: 2, learning_rate: 0.003 }
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'train-'));
  writeFileSync(join(folder, 'small.yaml'), small);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const options = () => ({ cwd: folder });
const train = (dir: string, ...flags: string[]) => [
  'train',
  '--config',
  'small.yaml',
  '--set',
  `output.dir=${dir}`,
  ...flags,
];
const listed = (dir: string): string[] => readdirSync(join(folder, dir)).sort();
const json = <T>(path: string): T => JSON.parse(readFileSync(join(folder, path), 'utf8')) as T;
const metricsIn = (dir: string): MetricsFile => json(`${dir}/metrics.json`);

describe('a run from beginning to end', () => {
  it('leaves checkpoints, figures, a package folder, and writes nothing but events to standard output', async () => {
    const { stdout, stderr } = await cliOrFail(train('out', '--json'), options());
    expect(listed('out')).toEqual([
      'PacerIDClassifier.mlpackage',
      'checkpoint_1.safetensors',
      'checkpoint_2.safetensors',
      'checkpoint_best.safetensors',
      'checkpoint_latest.safetensors',
      'events.ndjson',
      'metrics.json',
      'run.json',
    ]);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; at?: number });
    const types = events.map(({ type }) => type);
    expect(types.filter((type) => type === 'epochEnded')).toHaveLength(2);
    for (const type of ['importProgress', 'runStarted', 'deviceReady', 'step', 'checkpointSaved', 'testEvaluated'])
      expect(types).toContain(type);
    expect(types.at(-1)).toBe('finished');

    const metrics = metricsIn('out');
    const { report } = events.find(({ type }) => type === 'testEvaluated') as unknown as {
      report: { accuracy: number; probabilities: number[]; n: number };
    };
    expect(metrics.test).toMatchObject({ n: 18, accuracy: report.accuracy });
    expect(report.probabilities).toHaveLength(18 * 6);
    expect(metrics.epochs.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(metrics.dataset).toMatchObject({ synthetic: true, counts: { train: 30, val: 6, test: 18 } });
    expect(metrics.adapter?.backend).toBe('wasm');
    expect(metrics.startedFrom).toEqual({ kind: 'random', seed: 42 });
    expect(stderr).toContain(`${(100 * report.accuracy).toFixed(1)} % of 18 images right`);

    const best = `checkpoint_${metrics.epoch}.safetensors`;
    expect(readFileSync(join(folder, 'out', 'checkpoint_best.safetensors'))).toEqual(
      readFileSync(join(folder, 'out', best)),
    );
    const manifest = json<{ rootModelIdentifier: string; itemInfoEntries: Record<string, { path: string }> }>(
      'out/PacerIDClassifier.mlpackage/Manifest.json',
    );
    for (const { path } of Object.values(manifest.itemInfoEntries))
      expect(readdirSync(join(folder, 'out/PacerIDClassifier.mlpackage/Data', path, '..')).length).toBeGreaterThan(0);
  });

  it('--resume of what is complete says so and ends well; more epochs lengthen it; other settings are refused', async () => {
    expect((await cliOrFail(train('out', '--resume'), options())).stdout).toContain('is complete');
    const refused = await runCli(train('out', '--resume', '--learning-rate', '0.1'), options());
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('training.learning_rate was 0.003, now 0.1');
    await cliOrFail(train('out', '--resume', '--epochs', '3'), options());
    expect(metricsIn('out').epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
  });

  it('starting anew moves the finished run aside; keep_checkpoints keeps the newest and the best', async () => {
    const before = metricsIn('out');
    const { id } = json<{ id: string }>('out/run.json');
    const flags = ['--epochs', '4', '--set', 'output.keep_checkpoints=1'];
    const { stdout } = await cliOrFail(train('out', ...flags), options());
    expect(stdout).toContain(join('out', 'previous', id));
    expect(json(`out/previous/${id}/metrics.json`)).toEqual(before);
    expect(listed(`out/previous/${id}`)).toContain('PacerIDClassifier.mlpackage');
    const best = metricsIn('out').epoch;
    const kept = listed('out').filter((name) => /checkpoint_\d/.test(name));
    expect(kept).toEqual([...new Set([best, 4])].sort().map((epoch) => `checkpoint_${epoch}.safetensors`));
  });
});

describe('a run that is cut off', () => {
  it('SIGINT keeps a whole checkpoint and leaves Test sealed; a new run needs --fresh; --resume ends with as many epochs', async () => {
    const first = startCli(train('cut', '--epochs', '12', '--json'), options());
    await first.event('step', 1, ({ epoch }) => epoch === 3);
    first.signal('SIGINT');
    const ended = await first.ended;
    expect(ended.code).toBe(130);
    expect(ended.stderr).toContain('Go on: npm run train -- --resume --config small.yaml --epochs 12');
    expect(first.events.some(({ type }) => type === 'testEvaluated')).toBe(false);
    const { latestEpoch } = json<{ latestEpoch: number }>('cut/run.json');
    expect(latestEpoch).toBeGreaterThanOrEqual(3);
    expect(latestEpoch).toBeLessThan(12);

    const anew = await runCli(train('cut'), options());
    expect(anew.code).toBe(1);
    expect(anew.stderr).toContain(
      `UnfinishedRunError: cut holds a run that was cut off after epoch ${latestEpoch} of 12`,
    );

    // Without --epochs, which the file would have at 2: the run knows its own.
    await cliOrFail(train('cut', '--resume'), options());
    expect(metricsIn('cut').epochs.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(metricsIn('cut').test?.n).toBe(18);
  });

  it('SIGKILL, then the same command with --resume', async () => {
    const flags = ['--epochs', '8', '--resume', '--json'];
    const first = startCli(train('killed', ...flags), options());
    await first.event('checkpointSaved', 3);
    first.kill();
    expect((await first.ended).signal).toBe('SIGKILL');
    expect(first.stderr).toContain('nothing to resume');
    const second = startCli(train('killed', ...flags), options());
    expect((await second.event('resumed')).fromEpoch).toBeGreaterThanOrEqual(3);
    expect((await second.ended).code).toBe(0);
    expect(metricsIn('killed').epochs).toHaveLength(8);
  });

  it('one run at a time in a folder; SIGTERM ends with 143; --fresh starts anew', async () => {
    const first = startCli(train('shared', '--epochs', '60', '--json'), options());
    await first.event('checkpointSaved');
    const second = await runCli(train('shared', '--resume'), options());
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`FolderInUseError: Process ${first.pid} is training into shared now`);
    first.signal('SIGTERM');
    expect((await first.ended).code).toBe(143);
    const third = await cliOrFail(train('shared', '--fresh', '--epochs', '1'), options());
    expect(third.stdout).toMatch(/is now in shared.previous/);
    expect(metricsIn('shared').epochs).toHaveLength(1);
  });

  // The shell between npm and the command is ended, and hands nothing on.
  it.skipIf(process.platform === 'win32')('SIGTERM to npm is heard by the command behind it', async () => {
    const out = join(folder, 'npm');
    const flags = ['--config', join(folder, 'small.yaml'), '--set', `output.dir=${out}`, '--epochs', '400', '--json'];
    const npm = startProcess('npm', ['run', '--silent', 'train', '--', ...flags]);
    await npm.event('checkpointSaved');
    npm.signal('SIGTERM');
    await npm.ended;
    await expect.poll(() => existsSync(join(out, 'train.lock')), { timeout: 15_000 }).toBe(false);
    expect(json<{ state: string }>('npm/run.json').state).toBe('stopped');
  });

  it('a second SIGINT ends at once, in the middle of a long step; twice within a moment is once', async () => {
    const long = ['--set', 'model.architecture=mobilenet_v3_small', '--set', 'data.img_size=192', '--batch-size', '30'];
    const child = startCli(train('long', ...long, '--json'), options());
    await child.event('progress', 1, ({ what }) => what === 'first step');
    child.signal('SIGINT');
    child.signal('SIGINT');
    await child.line(/once more ends at once/);
    await sleep(900);
    child.signal('SIGINT');
    const { code, stderr } = await child.ended;
    expect(code).toBe(130);
    expect(stderr).not.toContain('Stopped');
  });
});
