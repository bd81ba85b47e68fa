import JSZip from 'jszip';
import { describe, expect, it } from 'vitest';
import { exportFormats, type ExportInput } from '../../../src/export/index.ts';
import { exportInput } from '../support/exportInput.ts';
import { formulaWeights } from '../support/formulaWeights.ts';

/** What the scripts compute is judged where they run: tests/python/judge_pytorch.py, judge_kit.py. */
const odd = ['a, "b"', "l'été", '心臓 🫀', 'back\\slash', '"""', '{x}', '%(x)s', 'A - B'];

function inputFor(name: 'tiny' | 'mobilenet_v3_small', options: Partial<ExportInput> = {}): ExportInput {
  const labels = options.labels ?? [...odd, ...Array.from({ length: 192 }, (_, i) => `Model ${i}`)];
  return exportInput(name, labels, formulaWeights, {
    temperature: 1.25,
    ...options,
    metadata: { geometry: 'squash', ...options.metadata },
  });
}

async function filesOf(bytes: Uint8Array): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = Object.values((await JSZip.loadAsync(bytes)).files).filter(({ dir }) => !dir);
  return new Map(await Promise.all(files.map(async (file) => [file.name, await file.async('uint8array')] as const)));
}
const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

describe.each([
  ['pytorch', 'PacerIDClassifier.pytorch', ['load_model.py']],
  ['coremltools_kit', 'PacerIDClassifier.coremltools', ['config.json', 'convert.py', 'labels.json']],
] as const)('the zip of %s', (format, folder, own) => {
  const write = async (input: ExportInput) => exportFormats[format].write(input);

  it('is one folder, in which the weights are those of the safetensors export', async () => {
    const input = inputFor('mobilenet_v3_small');
    const { fileName, bytes } = await write(input);
    expect(fileName).toBe(`${folder}.zip`);
    const files = await filesOf(bytes);
    const expected = ['README.txt', 'PacerIDClassifier.safetensors', 'requirements.txt', ...own];
    expect([...files.keys()].sort()).toEqual(expected.map((name) => `${folder}/${name}`).sort());
    const alone = await exportFormats.safetensors.write(input);
    expect(Buffer.from(alone.bytes).equals(files.get(`${folder}/PacerIDClassifier.safetensors`)!)).toBe(true);
    for (const line of text(files.get(`${folder}/requirements.txt`))
      .trim()
      .split('\n')) {
      expect(line).toMatch(/^[a-z]+==\d+(\.\d+)+$/);
    }
  });

  it('is the same bytes for the same model, and others for another', async () => {
    const bytesOf = async (input: ExportInput) => Buffer.from((await write(input)).bytes);
    const first = await bytesOf(inputFor('tiny'));
    await new Promise((resolve) => setTimeout(resolve, 2100)); // A zip's clock ticks every two seconds.
    expect((await bytesOf(inputFor('tiny'))).equals(first)).toBe(true);
    expect((await bytesOf(inputFor('tiny', { temperature: 2 }))).equals(first)).toBe(false);
  });

  it('refuses, by its name, a network that Python doesn’t know', async () => {
    const input = inputFor('tiny');
    await expect(write({ ...input, graph: { ...input.graph, architecture: 'vgg' } })).rejects.toMatchObject({
      name: 'NoPythonNetworkError',
      message: expect.stringContaining('vgg') as string,
    });
  });
});

it('a kit says what its package is to be: labels, precision, and the metadata of our own', async () => {
  const { bytes } = await exportFormats.coremltools_kit.write(inputFor('tiny', { precision: 'float16' }));
  const files = await filesOf(bytes);
  const json = (name: string): unknown => JSON.parse(text(files.get(`PacerIDClassifier.coremltools/${name}`)));
  expect((json('labels.json') as string[]).slice(0, odd.length)).toEqual(odd);
  expect(json('config.json')).toMatchObject({
    name: 'PacerIDClassifier',
    precision: 'float16',
    author: 'A. Uthor',
    description: 'Names the device. Not a medical device.',
    version: '1.2.3',
    metadata: { 'pacerid.temperature': '1.25', 'pacerid.precision': 'float16' },
  });
});
