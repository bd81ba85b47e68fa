import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawSample } from '../../../src/dataset/sample/drawSample.ts';
import type { MetricsFile } from '../../../src/training/metricsFile.ts';
import { tensorsDigest } from '../../verify/headless/wholeness.ts';
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
      'PacerIDClassifier.mlpackage.certificate.json',
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
    const named = ['output.model_name=Other', 'output.precision=float32', 'output.author=A. Author'];
    await cliOrFail(train('out', '--resume', ...named.flatMap((pair) => ['--set', pair])), options());
    expect(listed('out')).toContain('Other.mlpackage');
    const { output } = json<{ config: { output: object } }>('out/run.json').config;
    expect(output).toMatchObject({ model_name: 'Other', precision: 'float32', author: 'A. Author' });
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
    expect(listed(`out/previous/${id}`)).toEqual(
      expect.arrayContaining(['PacerIDClassifier.mlpackage', 'PacerIDClassifier.mlpackage.certificate.json']),
    );
    const best = metricsIn('out').epoch;
    const kept = listed('out').filter((name) => /checkpoint_\d/.test(name));
    expect(kept).toEqual([...new Set([best, 4])].sort().map((epoch) => `checkpoint_${epoch}.safetensors`));
  });
});

describe('a run that is cut off', () => {
  it('SIGINT keeps the whole epochs and leaves Test sealed; a new run needs --fresh; resumed, it is what it would have been', async () => {
    const uninterrupted = cliOrFail(train('whole', '--epochs', '6'), options());
    const first = startCli(train('cut', '--epochs', '6', '--json'), options());
    await first.event('step', 2, ({ epoch }) => epoch === 3);
    first.signal('SIGINT');
    const ended = await first.ended;
    expect(ended.code).toBe(130);
    expect(ended.stderr).toMatch(/SIGINT: the run ends after the step under way; up to epoch \d it is kept/);
    expect(ended.stderr).toContain('Go on: npm run train -- --resume --config small.yaml --epochs 6');
    expect(first.events.some(({ type }) => type === 'testEvaluated')).toBe(false);
    const { latestEpoch } = json<{ latestEpoch: number }>('cut/run.json');
    expect(latestEpoch).toBeGreaterThanOrEqual(2);
    expect(latestEpoch).toBeLessThan(6);
    expect(ended.stderr).toContain(`up to epoch ${latestEpoch} of 6; Test was not looked at`);

    const anew = await runCli(train('cut'), options());
    expect(anew.code).toBe(1);
    expect(anew.stderr).toContain(
      `UnfinishedRunError: cut holds a run that was cut off after epoch ${latestEpoch} of 6`,
    );

    // Without --epochs, which the file would have at 2: the run knows its own.
    await cliOrFail(train('cut', '--resume'), options());
    await uninterrupted;
    const figures = (dir: string) =>
      metricsIn(dir).epochs.map(({ epoch, train, validation }) => ({ epoch, train, validation }));
    expect(figures('cut')).toEqual(figures('whole'));
    expect(metricsIn('cut').test).toEqual(metricsIn('whole').test);
    const weights = (dir: string): string => tensorsDigest(join(folder, dir, 'checkpoint_latest.safetensors'));
    expect(weights('cut')).toBe(weights('whole'));
  });

  it('SIGINT in the first epoch keeps nothing, and the run that was here before is here again', async () => {
    await cliOrFail(train('first', '--epochs', '1'), options());
    const before = json<{ id: string }>('first/run.json');
    const more = ['--set', 'data.sample.train_per_class=60'];
    const child = startCli(train('first', ...more, '--json'), options());
    await child.event('step');
    child.signal('SIGINT');
    const { code, stderr } = await child.ended;
    expect(code).toBe(130);
    expect(stderr).toContain('no epoch is whole yet, so nothing of this run is kept');
    expect(stderr).toContain('Stopped before an epoch was whole: nothing of this run is kept.');
    expect(stderr).toContain('It is in first again.');
    expect(json('first/run.json')).toEqual(before);
    expect(readdirSync(join(folder, 'first/previous'))).toEqual([]);
  });

  it('a failure after a signal is told as what it is', async () => {
    const child = startCli(train('broken', '--set', 'data.sample.train_per_class=60', '--json'), options());
    await child.event('step', 1, ({ epoch }) => epoch === 2);
    // The record can't be written any more: a folder lies in its place.
    rmSync(join(folder, 'broken/run.json'));
    mkdirSync(join(folder, 'broken/run.json'));
    child.signal('SIGINT');
    const { code, stderr } = await child.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/NotWritableError: .*run\.json can't be written/);
    expect(stderr).not.toContain('Stopped');
  });

  it.skipIf(process.platform === 'win32')('a signal while the package is written says what there is', async () => {
    // Waits, once the package is there, for what the next version would be called.
    const version = join(folder, 'waiting/versions/v1.0.0');
    mkdirSync(version, { recursive: true });
    const [pipe, hold] = [join(version, 'SHA256SUMS'), join(folder, 'pipe')];
    execFileSync('mkfifo', [pipe]);
    linkSync(pipe, hold);
    const child = startCli(train('packed', '--epochs', '1', '--set', 'output.models_dir=waiting', '--json'), options());
    // There is somebody to write to once it is waited for.
    let writer = -1;
    const opened = (): boolean => {
      try {
        writer = openSync(hold, constants.O_WRONLY | constants.O_NONBLOCK);
        return true;
      } catch {
        return false;
      }
    };
    await expect.poll(opened, { timeout: 60_000 }).toBe(true);
    child.signal('SIGINT');
    await child.line(/SIGINT: the training is complete and its checkpoints are in packed; only the package/);
    rmSync(pipe);
    closeSync(writer);
    const { code, stderr } = await child.ended;
    expect(code).toBe(0);
    expect(stderr).toMatch(/Package +packed.PacerIDClassifier\.mlpackage/);
  });

  it('a checkpoint from elsewhere: other images change nothing; the same command goes on where it was cut off', async () => {
    await Promise.all(['far', 'near'].map((dir) => cliOrFail(train(dir), options())));
    const { id: other } = json<{ id: string }>('near/run.json');
    const [image] = drawSample({ seed: 1, classes: 1, train_per_class: 1, test_per_class: 0, size: 64 });
    mkdirSync(join(folder, 'more/BIO - Alder'), { recursive: true });
    writeFileSync(join(folder, 'more/BIO - Alder/1.png'), image!.png);
    const flags = ['--resume', '--checkpoint', 'far/checkpoint_1.safetensors', '--epochs', '12', '--json'];
    const before = listed('near');
    const refused = await runCli(train('near', ...flags, '--add', 'more'), options());
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('OtherDatasetError');
    expect(listed('near')).toEqual(before);
    expect(json<{ id: string }>('near/run.json').id).toBe(other);

    const first = startCli(train('near', ...flags), options());
    expect((await first.event('resumed')).fromEpoch).toBe(1);
    await first.event('checkpointSaved', 1, ({ epoch }) => epoch === 3);
    first.signal('SIGINT');
    const cut = await first.ended;
    expect(cut.code).toBe(130);
    expect(cut.stderr).toContain(`The run that was in near is now in ${join('near', 'previous', other)}.`);
    const { latestEpoch } = json<{ latestEpoch: number }>('near/run.json');

    const second = startCli(train('near', ...flags), options());
    expect((await second.event('resumed')).fromEpoch).toBe(latestEpoch);
    expect((await second.ended).code).toBe(0);
    expect(second.stderr).toContain(`near holds this run already, up to epoch ${latestEpoch}: that is gone on with`);
    expect(readdirSync(join(folder, 'near/previous'))).toEqual([other]);
    expect(metricsIn('near').epochs).toHaveLength(12);
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
    await expect.poll(() => existsSync(join(out, 'train.lock')), { timeout: 60_000 }).toBe(false);
    expect(json<{ state: string }>('npm/run.json').state).toBe('stopped');
  });

  it('a second SIGINT ends at once, in the middle of a long step; twice within a moment is once', async () => {
    const long = ['--set', 'model.architecture=mobilenet_v3_small', '--set', 'data.img_size=192', '--batch-size', '30'];
    const child = startCli(train('long', ...long, '--json'), options());
    await child.event('progress', 1, ({ what }) => what === 'first step');
    child.signal('SIGINT');
    child.signal('SIGINT');
    await child.line(/Once more ends at once/);
    await sleep(900);
    child.signal('SIGINT');
    const { code, stderr } = await child.ended;
    expect(code).toBe(130);
    expect(stderr).not.toContain('Stopped');
  });
});
