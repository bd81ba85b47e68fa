import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';

let folder: string;
/** One for each that works at the same time. */
let another: string;
beforeAll(() => {
  [folder, another] = [prepared(), prepared()];
});
afterAll(() => [folder, another].forEach((path) => rmSync(path, { recursive: true, force: true })));

function prepared(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bad-input-'));
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  write('wrong.yaml', 'training:\n  epochs: many\n');
  write('syntax.yaml', 'training: [');
  write('not-weights.safetensors', 'these are no weights at all');
  write('labels.txt', 'a\nb\n');
  mkdirSync(join(folder, 'empty'));
  write('a-file', '');
  mkdirSync(join(folder, 'locked', 'train.lock'), { recursive: true });
  return folder;
}

const sample = ['--set', 'data.source=sample', '--set', 'model.architecture=tiny', '--set', 'data.img_size=32'];
const few = [
  '--set',
  'data.sample.classes=6',
  '--set',
  'data.sample.train_per_class=4',
  '--set',
  'data.sample.test_per_class=1',
];
/** Command line → name of the error, and what its text must say. */
const cases: readonly (readonly [args: readonly string[], name: string, ...says: RegExp[]])[] = [
  [['train', '--epoch', '3'], 'UsageError', /There is no flag --epoch; did you mean --epochs\?/],
  [['train', '--epochs'], 'UsageError', /--epochs.* needs a value/],
  [['train', '--fresh=yes'], 'UsageError', /--fresh takes no value/],
  [['train', 'now'], 'UsageError', /“now” belongs to no flag/],
  [['train', '--resume', '--fresh'], 'UsageError', /contradict/],
  [['train', '--labels', 'labels.txt'], 'UsageError', /no --from/],
  [['train', '--epochs', 'many'], 'ConfigError', /training\.epochs is "many" \(text\); allowed: a whole number/],
  [['train', '--set', 'training.epoch=3'], 'ConfigError', /did you mean training\.epochs\?/],
  [['train', '--config', 'wrong.yaml'], 'ConfigError', /wrong\.yaml, line 2: training\.epochs is "many"/],
  [['train', '--config', 'syntax.yaml'], 'ConfigError', /syntax\.yaml, line 1: this is not valid YAML/],
  [['train', '--config', 'none.yaml'], 'FileMissingError', /There is no configuration file none\.yaml/],
  [['train'], 'NoDataError', /datasets\/processed\/Train/, /download-data/, /--data PATH/, /--set data\.source=sample/],
  [
    ['train', '--data', 'nowhere.zip'],
    'NoSuchPathError',
    /nowhere\.zip/,
    /a relative path begins in \/\S+bad-input-\w+\. /,
  ],
  [['train', '--data', 'empty'], 'EmptyPathError', /empty/],
  [['train', '--data', 'labels.txt', '--set', 'model.pretrained=false'], 'NotAZipError', /labels\.txt/],
  [['train', '--from', 'nothing.safetensors', ...sample], 'FileMissingError', /no weights file nothing\.safetensors/],
  [['train', '--from', 'v9.9.9', ...sample], 'NoSuchVersionError', /v9\.9\.9/],
  [['train', '--from', 'not-weights.safetensors', ...sample], 'NotSafetensorsError', /usable safetensors/],
  [['train', ...sample, '--set', 'output.dir=a-file'], 'NotWritableError', /a-file can't be written/],
  [
    ['train', ...sample, '--set', 'output.dir=locked'],
    'NotWritableError',
    /locked.train\.lock can't be written: a folder/,
  ],
  // tiny has no pretrained weights anywhere: no network is asked.
  [
    ['train', ...sample, ...few],
    'NoPretrainedWeightsError',
    /tiny has no pretrained weights/,
    /--set model\.pretrained=false/,
    /^(?![^]*fetch-weights)/,
  ],
  [['train', '--data', 'a.zip', '--data=b.zip'], 'UsageError', /--data is given twice; --add brings more images/],
  [['train', '--epochs', '1', '--epochs', '2'], 'UsageError', /--epochs is given twice/],
  [['evaluate'], 'FileMissingError', /no checkpoint output.checkpoint_best\.safetensors/, /begins in \/\S+bad-input-/],
  [
    ['evaluate', '--checkpoint', 'v1.0.0'],
    'VersionIsNoCheckpointError',
    /v1\.0\.0 is a version/,
    /versions -- show v1\.0\.0/,
  ],
  [['export', '--checkpoint', '1.0.0'], 'VersionIsNoCheckpointError', /package lies in models.versions/],
  [['train', '--resume', '--checkpoint', 'v1.0.0'], 'VersionIsNoCheckpointError', /--from v1\.0\.0/],
  [['evaluate', '--split', 'tests'], 'UsageError', /test, val or train/],
  [['evaluate', '--checkpoint', 'not-weights.safetensors'], 'NotSafetensorsError', /usable safetensors/],
  [['export', '--format', 'caffe'], 'UsageError', /mlpackage, .*onnx, tfjs, safetensors, .*bundle or demo/],
  [['export', '--images', '0'], 'UsageError', /--images is 0; it can be a whole number of images a class, or all/],
  [['export', '--images', 'some', '--format', 'onnx'], 'UsageError', /--images is some/],
  [['export', '--weights', 'int8'], 'ConfigError', /output\.weights is "int8"/],
  [['export', '--makers=yes'], 'UsageError', /--makers takes no value/],
  [['export', '--force', '--no-certificate'], 'UsageError', /--force is about the certificate/],
  [['export', '--format', 'safetensors', '--data', 'empty'], 'UsageError', /certificate, and safetensors gets none/],
  [['export', '--format', 'demo', '--force'], 'UsageError', /certificate, and demo gets none/],
  [['export', '--format', 'safetensors', '--precision', 'float16'], 'UsageError', /safetensors can only be float32/],
  [['export', '--format', 'tfjs', '--weights', 'palettized'], 'UsageError', /tfjs they can only be full or linear/],
  [['export', '--format', 'demo', '--weights', 'linear'], 'UsageError', /demo they can only be full/],
  [['export', '--format', 'pytorch', '--makers'], 'UsageError', /pytorch has no room for a second output/],
  [['export', '--with', 'onnx'], 'UsageError', /--format bundle/],
  [['export', '--format', 'bundle', '--with', 'demo'], 'UsageError', /--with is demo; it can be mlmodel, onnx/],
  [['export', '--format', 'bundle', '--with', 'mlpackage'], 'UsageError', /every bundle has one already/],
  [['export', '--format', 'bundle', '--with', 'onnx', '--with', 'onnx'], 'UsageError', /--with onnx is given twice/],
  [['sync-model', '--version', 'v1.0.0', '--no-certificate'], 'UsageError', /goes with --force/],
  [['sync-model', '--version', 'v1.0.0', '--images', 'none'], 'UsageError', /--images is none/],
  [['export', '--precision', 'int8'], 'ConfigError', /output\.precision is "int8"/],
  [['export', '--set', 'training.epochs=3'], 'UsageError', /only settings of output/],
  [['fetch-weights'], 'UsageError', /densenet121/],
  [['fetch-weights', 'densnet121'], 'UsageError', /did you mean densenet121\?/],
  [['fetch-weights', 'tiny'], 'UsageError', /tiny has no pretrained weights/],
  [['clear-cache', 'now'], 'UsageError', /“now” belongs to no flag/],
  [['adapter', '--x'], 'UsageError', /There is no flag --x/],
  [['adapter', 'hallo'], 'UsageError', /“hallo” belongs to no flag/],
];

it('names what is wrong and what to do, ends with 1 and leaves nothing behind', async () => {
  const queue = [...cases];
  const wrong: string[] = [];
  const work = async (cwd: string): Promise<void> => {
    const before = readdirSync(cwd);
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [args, name, ...says] = next;
      const { code, stdout, stderr } = await runCli(args, { cwd });
      const good =
        code === 1 &&
        readdirSync(cwd).join() === before.join() &&
        stderr.startsWith(`${name}: `) &&
        /\nKept: .+\nWhat to do: .+/.test(stderr) &&
        says.every((one) => one.test(stderr)) &&
        !/\n\s+at /.test(stderr);
      if (!good) wrong.push(`${args.join(' ')}\n→ ${code}\n${stdout}${stderr}`);
    }
  };
  await Promise.all([work(folder), work(another)]);
  expect(wrong.join('\n\n')).toBe('');
});

it('a device that was asked for and isn’t there', async () => {
  // A loader that finds no driver.
  const env = { VK_ICD_FILENAMES: join(folder, 'none.json'), VK_DRIVER_FILES: join(folder, 'none.json') };
  const args = ['train', ...sample, ...few, '--set', 'training.device=webgpu', '--set', 'model.pretrained=false'];
  const { code, stderr } = await runCli(args, { cwd: folder, env });
  expect(code).toBe(1);
  expect(stderr).toContain('NoWebGpuError: WebGPU found no graphics processor on this computer.');
  expect(stderr).toContain('training.device auto or wasm');
});

it('a run.json that can’t be read is told; --fresh sets it aside', async () => {
  mkdirSync(join(folder, 'spoiled'));
  writeFileSync(join(folder, 'spoiled', 'run.json'), '{ spoiled');
  const flags = ['--epochs', '1', '--set', 'model.pretrained=false', '--set', 'output.dir=spoiled'];
  const args = ['train', ...sample, ...few, '--set', 'training.device=wasm', ...flags];
  const refused = await runCli(args, { cwd: folder });
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/^CheckpointUnreadableError: .*run\.json/)]);
  expect(readFileSync(join(folder, 'spoiled', 'run.json'), 'utf8')).toBe('{ spoiled');
  expect((await runCli([...args, '--fresh'], { cwd: folder })).code).toBe(0);
  const [aside = ''] = readdirSync(join(folder, 'spoiled', 'previous'));
  expect(readFileSync(join(folder, 'spoiled', 'previous', aside, 'run.json'), 'utf8')).toBe('{ spoiled');
});

it('each command answers to --help; training and what follows it, within 100 columns', async () => {
  const commands = [
    'train',
    'evaluate',
    'export',
    'fetch-weights',
    'download-data',
    'sync-model',
    'versions',
    'cloud',
    'adapter',
    'clear-cache',
  ];
  const answers = await Promise.all(commands.map((name) => runCli([name, '--help'], { cwd: folder })));
  for (const [i, { code, stdout, stderr }] of answers.entries()) {
    expect([commands[i], code, stderr]).toEqual([commands[i], 0, '']);
    expect(stdout).toContain(`npm run ${commands[i]}`);
    if (i < 4) expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  }
});
