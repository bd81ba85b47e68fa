import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { command } from '../../../src/cli/cloud.ts';
import { versionContent } from '../../../src/registry/content.ts';
import type { Proof } from '../../../src/registry/proof.ts';
import { proofOf, sourceOf } from '../registry/support.ts';
import { runCli, startCli } from '../support/cli.ts';

/** Programs that stand for the clouds: each writes down how it was called, and ends as it is told. */
let folder: string;
let record: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cloud-'));
  record = join(folder, 'record');
  for (const name of ['sky', 'aws', 'gcloud', 'ssh']) {
    const path = join(folder, name);
    writeFileSync(
      path,
      `#!/bin/sh
{ echo "cwd $PWD"; for word in ${name} "$@"; do echo "[$word]"; done; } >'${record}'
echo 'from the cloud'
if [ -n "$WAIT" ]; then trap 'echo told; exit 9' TERM; echo waiting; while :; do sleep 0.05; done; fi
exit "\${CODE:-0}"
`,
    );
    chmodSync(path, 0o755);
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const path = (): string => `${folder}:${process.env.PATH ?? ''}`;
const recorded = (): string[] => readFileSync(record, 'utf8').trimEnd().split('\n');

/** What `--dry-run` prints for it. */
async function line(...args: string[]): Promise<string> {
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  try {
    expect(await command.run([...args.slice(0, end), '--dry-run', ...args.slice(end)])).toBe(0);
    return log.mock.calls.flat().join('\n');
  } finally {
    log.mockRestore();
  }
}

test('launch prints the one command that it runs, runs it in the repository, and ends with its exit code', async () => {
  const flags = [
    'launch',
    '--bucket',
    'hearts',
    "--train=--epochs 3 --set output.author=O'Brien",
    '--',
    '--infra',
    'gcp',
  ];
  const ended = await runCli(['cloud', ...flags], { env: { PATH: path(), CODE: '7' }, cwd: folder });
  expect(ended.code).toBe(7);
  const [printed, cloud] = ended.stdout.split('\n');
  expect(cloud).toBe('from the cloud');
  const called = recorded();
  expect(called).toEqual([
    `cwd ${process.cwd()}`,
    ...['sky', 'jobs', 'launch', '--name', 'pacerid'].map((word) => `[${word}]`),
    '[--env]',
    '[PACERID_BUCKET=s3://hearts]',
    '[--env]',
    '[RUN=pacerid]',
    '[--env]',
    '[CONFIG=configs/base.yaml]',
    '[--env]',
    '[DATA=/pacerid/data]',
    '[--env]',
    "[EXTRA=--epochs 3 --set output.author=O'Brien]",
    ...['--infra', 'gcp', 'cloud/train.sky.yaml'].map((word) => `[${word}]`),
  ]);

  // A shell that is given the printed line calls the very same.
  spawnSync('/bin/sh', ['-c', printed!.replace(/^\$ /, '')], { env: { PATH: path() } });
  expect(recorded()).toEqual(called);
});

test('download says of each package that came what its certificate says, and which one is of an earlier run', async () => {
  const to = join(folder, 'down');
  const of = async (seed: number, name: string, failures: string[]) => {
    let proof: Proof | null = null;
    const { files } = await versionContent({
      ...sourceOf('v1.0.0', seed),
      output: { ...sourceOf('v1.0.0', seed).output, model_name: name },
      certify: (exported) => Promise.resolve((proof = proofOf(exported, ['a', 'b', 'c'], failures))),
    });
    const put = (path: string, bytes: Uint8Array | string): void => {
      mkdirSync(dirname(join(to, path)), { recursive: true });
      writeFileSync(join(to, path), bytes);
    };
    return {
      package: () => [...files].forEach(([path, bytes]) => path.includes('.mlpackage/') && put(path, bytes)),
      certificate: () =>
        put(`${name}.mlpackage.certificate.json`, JSON.stringify(proof && 'certificate' in proof && proof.certificate)),
    };
  };
  const download = async (): Promise<string[]> => {
    const ended = await runCli(['cloud', 'download', '--bucket', 'hearts', '--to', to], { env: { PATH: path() } });
    expect(ended.code).toBe(0);
    return ended.stdout.trimEnd().split('\n').slice(2);
  };
  const [good, bad, none] = [await of(1, 'Good', []), await of(2, 'Bad', ['It is another.']), await of(3, 'None', [])];
  good.package();
  good.certificate();
  none.package();
  bad.certificate();
  expect(await download()).toEqual([
    expect.stringMatching(
      /down.Bad\.mlpackage was held back\. Its certificate FAILED on 2 Test images\. It is another\.$/,
    ),
    expect.stringMatching(/down.Good\.mlpackage: Its certificate passed: .* of 2 Test images$/),
    expect.stringMatching(/down.None\.mlpackage has no certificate: nothing proves/),
  ]);
  // aws s3 sync leaves what the run took away.
  (await of(4, 'Bad', [])).package();
  expect((await download())[0]).toMatch(
    /Bad\.mlpackage is NOT the package .* an earlier one: don’t use it\. Its certificate FAILED/,
  );
  bad.package();
  expect((await download())[0]).toMatch(/Bad\.mlpackage: Its certificate FAILED/);
});

test('without SkyPilot it says how to get it', async () => {
  const ended = await runCli(['cloud', 'status'], { env: { PATH: dirname(process.execPath) + '/nowhere' } });
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(
    /^NoCloudProgramError: There is no program “sky”.*\n.*\n.*pip install "skypilot\[aws\]==0\.14\.1"/,
  );
});

test('a signal reaches the program, and its answer is waited for', async () => {
  const cloud = startCli(['cloud', 'logs'], { env: { PATH: path(), WAIT: '1' } });
  await cloud.line(/^waiting$/);
  cloud.signal('SIGTERM');
  const { code, stdout } = await cloud.ended;
  expect({ code, told: /^told$/m.test(stdout) }).toEqual({ code: 9, told: true });
});

describe('each verb is one line', () => {
  test.each([
    [['status'], '$ sky jobs queue'],
    [['logs'], '$ sky jobs logs --name pacerid'],
    [['terminate', '--', '--yes'], '$ sky jobs cancel --graceful --name pacerid --yes'],
    [['status', '--cluster', '--name', 'second'], '$ sky status second'],
    [['logs', '--cluster'], '$ sky logs pacerid'],
    [['terminate', '--cluster'], '$ sky down --graceful pacerid'],
    [['ssh', '--', '-L', '8000:localhost:8000'], '$ ssh pacerid -L 8000:localhost:8000'],
    [['download', '--bucket', 'hearts'], '$ aws s3 sync s3://hearts/runs/pacerid output/cloud/pacerid'],
    [
      ['download', '--bucket', 'gs://hearts/', '--to', 'my results'],
      "$ gcloud storage rsync --recursive --no-ignore-symlinks gs://hearts/runs/pacerid 'my results'",
    ],
    [['upload', 'configs', '--bucket', 's3://hearts'], '$ aws s3 sync configs s3://hearts/data'],
    [['upload', 'package.json', '--bucket', 'hearts'], '$ aws s3 cp package.json s3://hearts/data/'],
    [['upload', 'package.json', '--bucket', 'gs://hearts'], '$ gcloud storage cp package.json gs://hearts/data/'],
  ])('%j', async (args, wanted) => {
    expect(await line(...args)).toBe(wanted);
  });

  test('launch --cluster keeps a machine for half an hour after the training', async () => {
    expect(await line('launch', '--cluster', '--bucket', 'hearts', '--config', 'configs/sample.yaml', '--data=')).toBe(
      '$ sky launch --cluster pacerid --down --idle-minutes-to-autostop 30 --env PACERID_BUCKET=s3://hearts --env RUN=pacerid ' +
        '--env CONFIG=configs/sample.yaml --env DATA= --env EXTRA= cloud/train.sky.yaml',
    );
  });

  test('--dry-run calls nothing', async () => {
    vi.stubEnv('PATH', path());
    await line('status');
    vi.unstubAllEnvs();
    expect(existsSync(record)).toBe(false);
  });
});

describe('what cannot work is refused by name, before anything is called', () => {
  afterEach(() => vi.unstubAllEnvs());

  test.each([
    [['launch'], 'NoBucketError', /--bucket NAME or the variable PACERID_BUCKET/],
    [['upload'], 'NoBucketError', /aws s3 mb/],
    [['launch', '--bucket', 'Hearts!'], 'CloudNameError', /small letters/],
    [['launch', '--bucket', 'azure://hearts'], 'CloudNameError', /s3:\/\/NAME or gs:\/\/NAME/],
    [['upload', 'no/such/folder', '--bucket', 'hearts'], 'FileMissingError', /download-data/],
    [['upload', 'configs', 'docs', '--bucket', 'hearts'], 'UsageError', /--help/],
    [['ssh', '--name=-oProxyCommand=id'], 'CloudNameError', /a letter first/],
    [['status', 'all'], 'UsageError', /--help/],
    [['start'], 'UsageError', /--help/],
    [[], 'UsageError', /--help/],
  ])('%j: %s', async (args, name, remedy) => {
    vi.stubEnv('PACERID_BUCKET', '');
    await expect(command.run(args)).rejects.toMatchObject({ name, remedy: expect.stringMatching(remedy) as string });
  });

  test('a configuration that would not be on the machine', async () => {
    const outside = join(folder, 'mine.yaml');
    writeFileSync(outside, 'training: { epochs: 3 }\n');
    const launch = (config: string) => command.run(['launch', '--bucket', 'hearts', '--config', config]);
    await expect(launch('nope.yaml')).rejects.toMatchObject({ name: 'FileMissingError' });
    await expect(launch(outside)).rejects.toMatchObject({
      name: 'ConfigNotTakenError',
      message: expect.stringContaining('outside') as string,
    });
    mkdirSync('.cache', { recursive: true });
    const ignored = mkdtempSync(join('.cache', 'cloud-'));
    try {
      writeFileSync(join(ignored, 'mine.yaml'), 'training: { epochs: 3 }\n');
      await expect(launch(join(ignored, 'mine.yaml'))).rejects.toMatchObject({
        name: 'ConfigNotTakenError',
        message: expect.stringContaining('git ignores it') as string,
      });
      writeFileSync(join(ignored, 'mine.yaml'), 'training: { epoch: 3 }\n');
      await expect(launch(join(ignored, 'mine.yaml'))).rejects.toMatchObject({ name: 'ConfigError' });
    } finally {
      rmSync(ignored, { recursive: true });
    }
  });

  test('the bucket may come from the environment', async () => {
    vi.stubEnv('PACERID_BUCKET', 'hearts');
    expect(await line('download')).toContain('s3://hearts/runs/pacerid');
  });
});
