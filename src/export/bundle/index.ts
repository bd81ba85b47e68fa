import JSZip from 'jszip';
import { reproducibleZip } from '../reproducibleZip.ts';
import type { ExportedBytes } from '../types.ts';
import { goldenFiles } from './golden.ts';
import { readme } from './readme.ts';
import { checkScript, parityTests } from './swift.ts';
import { isCoreML, type Bundle } from './types.ts';

/**
 * `NAME-bundle.zip`, all that an app's developer needs of a model: the models (the `.mlpackage` as a folder, ready for Xcode), `labels.txt`,
 * `config.yaml`, the certificates (`certificate.json`, or `certificates/FORMAT.json` where there are several), the images by which a
 * Mac can show the same and what was said of them (`golden/`), the Swift that does so, a README and the model card. Equal content gives
 * equal bytes. Throws `RangeError` where a golden image is not of the model's size.
 */
export async function writeBundle({ input, files, configYaml, modelCard }: Bundle): Promise<ExportedBytes> {
  const zip = reproducibleZip();
  const add = (path: string, content: Uint8Array | string): void => zip.add(path, content, compressionOf(path));
  const certified = files.filter((file) => file.certificate !== null);
  const golden = goldenFiles(input, files);
  add('README.md', readme(input, files, golden.size > 0, modelCard !== null));
  if (modelCard !== null) add('MODEL_CARD.md', modelCard);
  for (const { id, fileName, bytes } of files) {
    if (id === 'mlpackage') await unpack(bytes, add);
    else add(fileName, bytes);
  }
  add('labels.txt', input.labels.map((label) => `${oneLine(label)}\n`).join(''));
  add('config.yaml', configYaml);
  for (const { id, certificate } of certified)
    add(
      certified.length === 1 ? 'certificate.json' : `certificates/${id}.json`,
      `${JSON.stringify(certificate, null, 2)}\n`,
    );
  for (const [path, content] of golden) add(path, content);
  if (golden.size > 0 && certified.some(({ id }) => isCoreML(id))) {
    add('check.swift', checkScript);
    add('Tests/ModelParityTests.swift', parityTests);
  }
  return { fileName: `${input.name}-bundle.zip`, bytes: await zip.bytes() };
}

/** Weights and images hardly shrink; texts and programs do. */
const compressionOf = (path: string): 'STORE' | 'DEFLATE' =>
  /\.(bin|png|zip|onnx|safetensors|mlmodel)$/.test(path) && !path.endsWith('/model.mlmodel') ? 'STORE' : 'DEFLATE';

/** The files of a zip; its folders come with them. */
async function unpack(bytes: Uint8Array, add: (path: string, content: Uint8Array) => void): Promise<void> {
  const inner = await JSZip.loadAsync(bytes);
  for (const entry of Object.values(inner.files)) if (!entry.dir) add(entry.name, await entry.async('uint8array'));
}

const oneLine = (label: string): string => label.replace(/\s*[\r\n]+\s*/g, ' ');
