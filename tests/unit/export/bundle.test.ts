import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import JSZip from 'jszip';
import sharp from 'sharp';
import { describe, expect, it, onTestFinished } from 'vitest';
import { zipPackage } from '../../../src/export/coreml/package.ts';
import { writeBundle } from '../../../src/export/bundle/index.ts';
import type { Bundle, BundledFile, BundleInput } from '../../../src/export/bundle/types.ts';
import type { Certificate, CertifiedFormat, Golden } from '../../../src/parity/types.ts';

const python = process.env['PACERID_PYTHON'];
const SIDE = 5;
/** What folders can be called, and what breaks a string of Swift, a table of Markdown or a line. */
const labels = ['MDT - "Azure"', 'BSC \\(x) | `é`', 'ABB, Ländler 心'];

const golden = (index: number): Golden => ({
  name: `Test/patient ${index}.png`,
  label: index % 3,
  pixels: Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => (i * 37 + index * 101) % 256),
  trained: Float32Array.of(0.1, 0.2 + index / 7, 0.7 - index / 7),
  exported: Float32Array.of(0.1001, 0.2 + index / 7, 0.6999 - index / 7),
});

const certificate = (format: CertifiedFormat, fileName: string, change: Partial<Certificate> = {}): Certificate => ({
  schema: 1,
  format,
  fileName,
  sha256: 'ab'.repeat(32),
  bytes: 100,
  precision: 'float16',
  eightBit: false,
  labels,
  imageSize: SIDE,
  imagesFrom: { split: 'test', dataset: 'devices', hash: 'cd'.repeat(32) },
  images: 3,
  maxDifference: 0.00012,
  meanDifference: 0.000034,
  flips: 0,
  right: { trained: 3, exported: 3 },
  perClass: [],
  thresholds: { maxDifference: 0.005, maxFlips: 0 },
  passed: true,
  failures: [],
  ...change,
});

const input: BundleInput = {
  name: 'PacerIDClassifier',
  labels,
  imageSize: SIDE,
  temperature: 1.25,
  metadata: {
    author: 'A. Nother',
    description: 'Names the *device*.\n# And no heading',
    intendedUse: 'Teaching.',
    version: '1.2.0',
    config: '{}',
    dataset: { name: 'devices', hash: 'cd', synthetic: false },
    test: { n: 40, accuracy: 0.925, interval: [0.801, 0.974] },
    geometry: 'center_crop',
  },
};

async function mlpackage(change: Partial<BundledFile> = {}): Promise<BundledFile> {
  return {
    id: 'mlpackage',
    fileName: 'PacerIDClassifier.mlpackage.zip',
    bytes: await zipPackage('PacerIDClassifier', Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)),
    certificate: certificate('mlpackage', 'PacerIDClassifier.mlpackage.zip'),
    goldens: [0, 1, 2].map(golden),
    ...change,
  };
}
const onnx: BundledFile = {
  id: 'onnx',
  fileName: 'PacerIDClassifier.onnx',
  bytes: Uint8Array.of(9, 8, 7),
  certificate: certificate('onnx', 'PacerIDClassifier.onnx'),
  goldens: [2, 3].map(golden),
};
const safetensors: BundledFile = {
  id: 'safetensors',
  fileName: 'PacerIDClassifier.safetensors',
  bytes: Uint8Array.of(6),
  certificate: null,
  goldens: [],
};
const settings = 'training:\n  epochs: 3\n';

async function bundle(change: Partial<Bundle> = {}) {
  const whole: Bundle = { input, files: [await mlpackage()], configYaml: settings, modelCard: null, ...change };
  const { fileName, bytes } = await writeBundle(whole);
  const zip = await JSZip.loadAsync(bytes);
  const text = (path: string): Promise<string> => zip.file(path)!.async('string');
  const read = async <T>(path: string): Promise<T> => JSON.parse(await text(path)) as T;
  return { fileName, bytes, zip, paths: Object.keys(zip.files), text, read };
}

interface GoldenJson {
  readonly labels: string[];
  readonly imageCropAndScaleOption: string;
  readonly models: { file: string; format: string; maxDifference: number; maxFlips: number }[];
  readonly images: { file: string; label: number; trained: number[]; exported: Record<string, number[]> }[];
}

const FILES = [
  'README.md',
  'PacerIDClassifier.mlpackage/Manifest.json',
  'PacerIDClassifier.mlpackage/Data/com.apple.CoreML/model.mlmodel',
  'PacerIDClassifier.mlpackage/Data/com.apple.CoreML/weights/weight.bin',
  'labels.txt',
  'config.yaml',
  'certificate.json',
  ...['0001.png', '0002.png', '0003.png', 'golden.json'].map((file) => `golden/${file}`),
  'check.swift',
  'Tests/ModelParityTests.swift',
];

describe('a bundle', () => {
  it('is one zip with the package as a folder, byte for byte, and all that belongs to it', async () => {
    const { fileName, paths, zip, text, read } = await bundle();
    expect(fileName).toBe('PacerIDClassifier-bundle.zip');
    expect(paths.sort()).toEqual([...FILES].sort());
    const there = await JSZip.loadAsync((await mlpackage()).bytes);
    for (const path of FILES.filter((one) => one.includes('.mlpackage/')))
      expect(await zip.file(path)!.async('uint8array')).toEqual(await there.file(path)!.async('uint8array'));
    expect(await text('config.yaml')).toBe(settings);
    expect(await text('labels.txt')).toBe(`${labels.join('\n')}\n`);
    expect(await read('certificate.json')).toEqual(certificate('mlpackage', 'PacerIDClassifier.mlpackage.zip'));
  });

  it('has the same bytes whenever it is written', async () => {
    const first = await bundle();
    await new Promise((resolve) => setTimeout(resolve, 2100));
    expect((await bundle()).bytes).toEqual(first.bytes);
  });

  it('has a certificate a model, each image once, and the model card', async () => {
    const files = [await mlpackage(), onnx, safetensors];
    const { paths, text, read, zip } = await bundle({ files, modelCard: '# Card\n' });
    expect(paths).toContain('certificates/mlpackage.json');
    expect(paths).toContain('certificates/onnx.json');
    expect(paths).not.toContain('certificate.json');
    expect(await text('MODEL_CARD.md')).toBe('# Card\n');
    expect([...(await zip.file('PacerIDClassifier.onnx')!.async('uint8array'))]).toEqual([9, 8, 7]);
    expect(paths.filter((path) => path.endsWith('.png'))).toHaveLength(4);
    const { images, models } = await read<GoldenJson>('golden/golden.json');
    expect(images.map(({ exported }) => Object.keys(exported))).toEqual([
      ['mlpackage'],
      ['mlpackage'],
      ['mlpackage', 'onnx'],
      ['onnx'],
    ]);
    expect(models).toEqual([
      { file: 'PacerIDClassifier.mlpackage', format: 'mlpackage', maxDifference: 0.005, maxFlips: 0 },
      { file: 'PacerIDClassifier.onnx', format: 'onnx', maxDifference: 0.005, maxFlips: 0 },
    ]);
  });

  it('shows the very pixels as another decoder reads them, the probabilities to the last bit, and no patient’s file name', async () => {
    const { zip, read, text } = await bundle();
    const said = await read<GoldenJson>('golden/golden.json');
    expect(said.labels).toEqual(labels);
    for (const [index, image] of said.images.entries()) {
      const { pixels, label, trained, exported } = golden(index);
      const png = await zip.file(`golden/${image.file}`)!.async('nodebuffer');
      const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
      expect([info.width, info.height, info.channels]).toEqual([SIDE, SIDE, 3]);
      expect([...data]).toEqual([...pixels]);
      expect(image.label).toBe(label);
      expect(Float32Array.from(image.trained)).toEqual(trained);
      expect(Float32Array.from(image.exported['mlpackage']!)).toEqual(exported);
    }
    expect(await text('golden/golden.json')).not.toContain('patient');
  });

  it('keeps images apart that bear one name', async () => {
    const named = [golden(0), golden(1)].map((one) => ({ ...one, name: 'Test/twice.png' }));
    const { read } = await bundle({ files: [await mlpackage({ goldens: named })] });
    const { images } = await read<GoldenJson>('golden/golden.json');
    expect(images.map(({ trained }) => Float32Array.from(trained))).toEqual(named.map(({ trained }) => trained));
    expect(images.map(({ exported }) => Float32Array.from(exported['mlpackage']!))).toEqual(
      named.map(({ exported }) => exported),
    );
  });

  it('refuses an image that Vision would have to scale', async () => {
    const wrong = { ...golden(0), pixels: new Uint8Array(3 * 16) };
    await expect(bundle({ files: [await mlpackage({ goldens: [wrong] })] })).rejects.toThrow('no image of 5 × 5');
  });

  it('keeps Swift away from who has no certified Core ML model', async () => {
    for (const files of [[onnx], [safetensors], [await mlpackage({ certificate: null, goldens: [] }), onnx]])
      expect((await bundle({ files })).paths.filter((path) => path.endsWith('.swift'))).toEqual([]);
    const { paths, text } = await bundle({ files: [safetensors] });
    expect(paths.some((path) => path.startsWith('golden/'))).toBe(false);
    expect(await text('README.md')).toContain('there is no certificate');
  });
});

describe('its README', () => {
  it.each([
    ['center_crop', 'centerCrop'],
    ['squash', 'scaleFill'],
  ] as const)('for %s tells Vision .%s, as golden.json does', async (geometry, option) => {
    const { text, read } = await bundle({ input: { ...input, metadata: { ...input.metadata, geometry } } });
    expect(await text('README.md')).toContain(`    request.imageCropAndScaleOption = .${option}\n`);
    expect((await read<GoldenJson>('golden/golden.json')).imageCropAndScaleOption).toBe(option);
  });

  it('says in a table what the certificate says', async () => {
    const text = await (await bundle()).text('README.md');
    expect(text).toContain(
      '| `PacerIDClassifier.mlpackage.zip` | float16 | 3 | 1.2e-4 | 5.0e-3 | 3.4e-5 | 0 | 0 | passed |',
    );
    expect(text).toContain('swift check.swift PacerIDClassifier.mlpackage golden/');
    expect(text).toContain('Of 40 images that it never saw, 92.5 % right (95 % interval: 80.1 % to 97.4 %).');
    expect(text).toContain('a temperature of 1.25');
    // What somebody wrote about the model is text.
    expect(text).toContain('Names the \\*device\\*. \\# And no heading');
  });

  it('says first where a certificate failed, and by what', async () => {
    const failed = certificate('mlpackage', 'PacerIDClassifier.mlpackage.zip', {
      passed: false,
      maxDifference: NaN,
      failures: ['A probability is no number.'],
    });
    const { text, read } = await bundle({ files: [await mlpackage({ certificate: failed })] });
    const readme = await text('README.md');
    expect(readme.indexOf('failed:** A probability is no number.')).toBeGreaterThan(0);
    expect(readme.indexOf('failed:**')).toBeLessThan(readme.indexOf('## What is here'));
    expect(readme).toContain('| – | 5.0e-3 | 3.4e-5 | 0 | 0 | **failed** |');
    expect(await read('certificate.json')).toMatchObject({ passed: false, maxDifference: null });
  });

  it('names the class as Xcode does, and quotes a name that a shell would take apart', async () => {
    const files = [await mlpackage({ fileName: "It’s “a”-b' c.mlpackage.zip" })];
    const text = await (await bundle({ files, input: { ...input, name: 'It’s "a"-b\' c' } })).text('README.md');
    expect(text).toContain('let core = try It_s__a__b__c(configuration: MLModelConfiguration())');
    expect(text).toContain("swift check.swift 'It’s “a”-b'\\'' c.mlpackage' golden/");
  });
});

describe('its Swift', () => {
  it.each(['check.swift', 'Tests/ModelParityTests.swift'])('%s says first that it was not run', async (path) => {
    const [first] = (await (await bundle()).text(path)).split('\n');
    expect(first).toMatch(/^\/\/ .*cannot run on Linux.* not run by its authors/);
  });

  it.each(['check.swift', 'Tests/ModelParityTests.swift'])('%s closes what it opens', async (path) => {
    expect(unbalanced(await (await bundle()).text(path))).toBe('');
  });

  it('reads the names that golden.json has', async () => {
    const swift = await (await bundle()).text('check.swift');
    const fields = [...swift.matchAll(/^ +let (\w+): (?:String|Double|Int|\[)/gm)].map(([, name]) => name);
    const json = await (await bundle()).read<GoldenJson>('golden/golden.json');
    const there = [...Object.keys(json), ...Object.keys(json.models[0]!), ...Object.keys(json.images[0]!)];
    expect(fields).toContain('imageCropAndScaleOption');
    for (const name of fields) if (name !== 'description') expect(there).toContain(name);
    for (const option of ['centerCrop', 'scaleFill']) expect(swift).toContain(`case "${option}": return .${option}`);
  });
});

it.skipIf(python === undefined)('zipfile, Pillow and a parser of Swift read it', async () => {
  const { bytes } = await bundle();
  const folder = mkdtempSync(join(tmpdir(), 'bundle-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const images = [0, 1, 2].map(golden).map(({ pixels, trained, exported, label }) => ({
    side: SIDE,
    label,
    pixels: [...pixels],
    trained: [...trained],
    exported: [...exported],
  }));
  const expected = { files: FILES, labels, option: 'centerCrop', format: 'mlpackage', images };
  writeFileSync(join(folder, 'bundle.zip'), bytes);
  writeFileSync(join(folder, 'expected.json'), JSON.stringify(expected));
  const judge = new URL('../../python/judge_bundle.py', import.meta.url).pathname;
  const args = [judge, join(folder, 'bundle.zip'), join(folder, 'expected.json')];
  expect(execFileSync(python as string, args, { encoding: 'utf8' })).toContain('3 images, Swift parses');
});

/** What is open at the end, or closes what was not open: brackets outside comments and strings, and inside the `\( )` of strings. */
function unbalanced(swift: string): string {
  const open: string[] = [];
  const closes: Record<string, string> = { ')': '(', ']': '[', '}': '{' };
  for (let i = 0; i < swift.length; i++) {
    const inString = open.at(-1) === '"';
    const two = swift.slice(i, i + 2);
    const one = swift[i] as string;
    if (inString && two === '\\(') {
      open.push('(');
      i++;
    } else if (inString && one === '\\') i++;
    else if (inString && one === '\n') return `a string that ends with its line: ${swift.slice(i - 40, i)}`;
    else if (one === '"') void (inString ? open.pop() : open.push('"'));
    else if (inString) continue;
    else if (two === '//') i = swift.indexOf('\n', i);
    else if ('([{'.includes(one)) open.push(one);
    else if (one in closes && open.pop() !== closes[one]) return `${one} at ${i}`;
  }
  return open.join('');
}
