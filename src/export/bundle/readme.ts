import type { Certificate } from '../../parity/types.ts';
import { cropOption, swiftClass } from '../vision.ts';
import { placeOf } from './golden.ts';
import { isCoreML, type BundledFile, type BundleInput } from './types.ts';

/** `README.md`, for whoever builds the app. */
export function readme(
  input: BundleInput,
  files: readonly BundledFile[],
  withGoldens: boolean,
  withModelCard: boolean,
): string {
  const { metadata } = input;
  const { dataset, description, intendedUse, test, version } = metadata;
  const coreML = files.filter(({ id }) => isCoreML(id));
  const checked = withGoldens ? coreML.filter(({ certificate }) => certificate !== null) : [];
  const certified = files.filter(({ certificate }) => certificate !== null);
  const failed = certified.filter(({ certificate }) => certificate?.passed === false);
  const parts = [
    `# ${text(input.name)} ${text(version)}`,
    ...failed.map(
      ({ fileName, certificate }) =>
        `**The certificate of ${text(fileName)} failed:** ${text(certificate?.failures.join(' ') ?? '')} Do not rely on it.`,
    ),
    text(description),
    text(intendedUse),
    'Not a medical device.',
    test === null
      ? 'It was not tested on images that it never saw.'
      : `Of ${test.n} images that it never saw, ${percent(test.accuracy)} right (95 % interval: ${percent(test.interval[0])} to ${percent(test.interval[1])}).`,
    ...(dataset?.synthetic === true ? ['**Trained on drawn images: for trying out, never for patients.**'] : []),
    '## What is here',
    table([
      ['File', 'What it is'],
      ...files.map((file) => [code(placeOf(file)), text(whatIs[file.id] ?? file.id)]),
      [code('labels.txt'), `The ${input.labels.length} classes, in the order of the probabilities`],
      [code('config.yaml'), 'Every setting of the training'],
      ...certified.map(({ id, fileName }) => [
        code(certified.length === 1 ? 'certificate.json' : `certificates/${id}.json`),
        `How far ${code(fileName)} is from the trained model`,
      ]),
      ...(withGoldens ? [[code('golden/'), 'Images of the data set, and what the models say of them']] : []),
      ...(checked.length > 0 ? [[`${code('check.swift')}, ${code('Tests/')}`, 'The same comparison, on a Mac']] : []),
      ...(withModelCard ? [[code('MODEL_CARD.md'), 'What the model is for, and how it was judged']] : []),
    ]),
    ...(withGoldens
      ? ['`golden/` holds images of the data set: if those are not to be shown, neither is this folder.']
      : []),
    ...(coreML.length > 0 ? inTheApp(input, coreML) : []),
    ...(certified.length > 0
      ? certificates(certified)
      : ['No model here was compared with the trained one: there is no certificate.']),
    ...(checked.length > 0 ? onAMac(checked) : []),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

const whatIs: Readonly<Record<string, string>> = {
  mlpackage: 'Core ML package for Xcode, iOS 15 and later',
  mlmodel: 'Core ML model in the older form, for earlier systems',
  onnx: 'ONNX',
  tfjs: 'TensorFlow.js',
  pytorch: 'The trained weights and a script that loads them into PyTorch',
  coremltools_kit: 'What Apple’s own converter makes the Core ML model from, by a script',
  safetensors: 'The trained weights, for PyTorch and for further training',
};

function inTheApp({ name, imageSize, metadata, temperature }: BundleInput, models: readonly BundledFile[]): string[] {
  const option = cropOption[metadata.geometry];
  const what =
    option === 'centerCrop'
      ? 'the middle square of the image, as the model was judged'
      : 'the whole image, squeezed into a square, as the model was judged';
  const type = swiftClass(name);
  return [
    '## In the app',
    `Drag ${models.length === 1 ? 'the model' : 'one of the Core ML models'} into Xcode. It takes an RGB image of ${imageSize} × ${imageSize} pixels, 0–255, and does the rest itself: scale, mean, standard deviation, softmax${temperature === 1 ? '' : ` (with a temperature of ${Number(temperature.toPrecision(4))}, fitted on validation)`}. Vision must be told how an image becomes square: \`imageCropAndScaleOption = .${option}\`, ${what}. With another option the app shows other probabilities than those below.`,
    `\`\`\`swift
import CoreML
import ImageIO
import Vision

func classify(_ image: CGImage, orientation: CGImagePropertyOrientation) throws -> [(label: String, probability: Float)] {
    let core = try ${type}(configuration: MLModelConfiguration())
    let request = VNCoreMLRequest(model: try VNCoreMLModel(for: core.model))
    request.imageCropAndScaleOption = .${option}
    try VNImageRequestHandler(cgImage: image, orientation: orientation, options: [:]).perform([request])
    // All classes, most probable first; confidences are probabilities and sum to 1.
    let found = request.results as? [VNClassificationObservation] ?? []
    return found.map { ($0.identifier, $0.confidence) }
}
\`\`\``,
  ];
}

function certificates(files: readonly BundledFile[]): string[] {
  const rows = files.flatMap(({ fileName, certificate }) => (certificate === null ? [] : [row(fileName, certificate)]));
  return [
    '## What the certificate says',
    'Each file was read back and run, by code that shares nothing with what wrote it, on images as they come to the phone; |Δp| is how far a probability is from the trained model’s, a flip an image with another most probable class.',
    table([
      ['File', 'Arithmetic', 'Images', 'Largest |Δp|', 'Allowed', 'Mean |Δp|', 'Flips', 'Allowed', 'Certificate'].map(
        (head) => head.replaceAll('|', '\\|'),
      ),
      ...rows,
    ]),
    ...files.flatMap(({ fileName, certificate }) =>
      certificate === null
        ? []
        : [`${code(fileName)}: SHA-256 ${code(certificate.sha256)} of the file as it is downloaded by itself.`],
    ),
  ];
}

function row(fileName: string, certificate: Certificate): string[] {
  const { precision, eightBit, images, maxDifference, meanDifference, flips, thresholds, passed } = certificate;
  return [
    code(fileName),
    `${precision}${eightBit ? ', 8-bit weights' : ''}`,
    String(images),
    figure(maxDifference),
    figure(thresholds.maxDifference),
    figure(meanDifference),
    String(flips),
    String(thresholds.maxFlips),
    passed ? 'passed' : '**failed**',
  ];
}

function onAMac(checked: readonly BundledFile[]): string[] {
  return [
    '## On a Mac',
    'The comparison again, by Vision and Core ML themselves, with the images in `golden/` (the certificate may have seen more), the same option and thresholds. It cannot run on Linux, where this was written, and was not run.',
    `\`\`\`sh\n${checked.map((file) => `swift check.swift ${shellWord(placeOf(file))} golden/`).join('\n')}\n\`\`\``,
    '`Tests/ModelParityTests.swift` is the same for a test target of Xcode’s.',
  ];
}

function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Markdown that shows this text, in one line. */
function text(plain: string): string {
  return plain
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[\\`*_[\]<>|#~&]/g, '\\$&');
}

/** One word of a shell's, whatever is in it. */
function shellWord(word: string): string {
  return /^[\w.-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** In Markdown’s code, also in a table. */
const code = (plain: string): string => `\`${plain.replaceAll('`', '').replaceAll('|', '\\|')}\``;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** `0.0000012` → `1.2e-6`; null and NaN, which a failed certificate may have: a dash. */
const figure = (value: number | null): string =>
  value === null || Number.isNaN(value) ? '–' : value === 0 ? '0' : value.toExponential(1);
