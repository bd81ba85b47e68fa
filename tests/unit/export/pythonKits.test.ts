import JSZip from 'jszip';
import { describe, expect, it } from 'vitest';
import { exportFormats, type ExportInput } from '../../../src/export/index.ts';
import { exportInput } from '../support/exportInput.ts';
import { formulaWeights } from '../support/formulaWeights.ts';

/** What the scripts compute is judged where they run: tests/python/judge_pytorch.py, judge_kit.py. */
const odd = [
  ...['a, "b"', "l'été", '心臓 🫀', 'back\\slash', '"""', '{x}', '%(x)s', 'A - B', ''],
  ...[
    "'; import os; '",
    '\\u0041 \\N{BULLET}',
    'tab\tand\nline\r\n',
    'e\u0301 é',
    '\u2028',
    '\u0000',
    '$x `y`',
    'מכשיר',
    '<b>&amp;',
  ],
];
/** Two hundred, each with something of it. */
const twoHundred = Array.from({ length: 200 }, (_, i) => odd[i] ?? `${odd[i % odd.length]!} - “Model”, ${i}`);

function inputFor(name: 'tiny' | 'mobilenet_v3_small', options: Partial<ExportInput> = {}): ExportInput {
  const labels = options.labels ?? twoHundred;
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

/** What a safetensors file says of itself: its README, "Format": a length in 8 bytes, little-endian, and as many bytes of JSON. */
function headerOf(bytes: Uint8Array): { readonly __metadata__: Readonly<Record<string, string>> } & object {
  const length = Number(Buffer.from(bytes).readBigUInt64LE(0));
  return JSON.parse(Buffer.from(bytes).toString('utf8', 8, 8 + length)) as ReturnType<typeof headerOf>;
}

describe('200 names with quotes, commas and Unicode', () => {
  const labels = twoHundred;
  const classesOf = (bytes: Uint8Array): unknown => JSON.parse(headerOf(bytes).__metadata__['classes']!);

  it('are as they were in a safetensors file', async () => {
    expect(new Set(labels).size).toBe(200);
    const { bytes } = await exportFormats.safetensors.write(inputFor('tiny'));
    expect(classesOf(bytes)).toEqual(labels);
    // One output each.
    expect(headerOf(bytes)).toMatchObject({ 'classifier.weight': { shape: [200, 128] } });
  });

  it('are as they were where the PyTorch script looks them up', async () => {
    const files = await filesOf((await exportFormats.pytorch.write(inputFor('tiny'))).bytes);
    const folder = 'PacerIDClassifier.pytorch';
    const script = text(files.get(`${folder}/load_model.py`));
    const [, file] = /safe_open\(str\(Path\(__file__\)\.with_name\("([^"]+)"\)\), "pt"\) as file/.exec(script)!;
    expect(script).toContain('about, weights = file.metadata(), ');
    expect(script).toContain(
      'for probability, label in sorted(zip(found, json.loads(about["classes"])), reverse=True)',
    );
    expect(classesOf(files.get(`${folder}/${file!}`)!)).toEqual(labels);
    // No name is part of the script's text: whatever is in one, the script is the same.
    const plain = Array.from({ length: 200 }, (_, i) => `Model ${i}`);
    const other = await filesOf((await exportFormats.pytorch.write(inputFor('tiny', { labels: plain }))).bytes);
    expect(text(other.get(`${folder}/load_model.py`))).toBe(script);
  });

  it('are as they were in both files of a kit, of which its script takes one for the names, one for their number', async () => {
    const files = await filesOf((await exportFormats.coremltools_kit.write(inputFor('tiny'))).bytes);
    const file = (name: string) => files.get(`PacerIDClassifier.coremltools/${name}`)!;
    const script = text(file('convert.py'));
    expect(script).toContain('labels, size = beside("config.json"), beside("labels.json"), ');
    expect(script).toContain('classifier_config=ct.ClassifierConfig(labels)');
    expect(JSON.parse(text(file('labels.json')))).toEqual(labels);
    expect(classesOf(file('PacerIDClassifier.safetensors'))).toEqual(labels);
    const plain = Array.from({ length: 200 }, (_, i) => `Model ${i}`);
    const other = await filesOf((await exportFormats.coremltools_kit.write(inputFor('tiny', { labels: plain }))).bytes);
    expect(text(other.get('PacerIDClassifier.coremltools/convert.py'))).toBe(script);
  });
});

it('a kit says what its package is to be: labels, precision, and the metadata of our own', async () => {
  const { bytes } = await exportFormats.coremltools_kit.write(inputFor('tiny', { precision: 'float16' }));
  const files = await filesOf(bytes);
  const json = (name: string): unknown => JSON.parse(text(files.get(`PacerIDClassifier.coremltools/${name}`)));
  expect(json('labels.json')).toEqual(twoHundred);
  expect(json('config.json')).toMatchObject({
    name: 'PacerIDClassifier',
    precision: 'float16',
    author: 'A. Uthor',
    description: 'Names the device. Not a medical device.',
    version: '1.2.3',
    metadata: { 'pacerid.temperature': '1.25', 'pacerid.precision': 'float16' },
  });
});
