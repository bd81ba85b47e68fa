import { describe } from '../metadata.ts';
import type { ExportInput } from '../types.ts';

/** README.txt: what the folder is, and ten lines that show the model an image. */
export function readme(input: ExportInput): string {
  const { name, imageSize: size, metadata, makerOutput, labels } = input;
  const crop = {
    center_crop: {
      says: `the largest square in the image's middle, scaled to ${size} × ${size} pixels (center_crop)`,
      side: 'const side = Math.min(image.naturalWidth, image.naturalHeight);',
      from: '(image.naturalWidth - side) / 2, (image.naturalHeight - side) / 2, side, side',
    },
    squash: {
      says: `the whole image, squashed to ${size} × ${size} pixels (squash)`,
      side: '',
      from: '0, 0, image.naturalWidth, image.naturalHeight',
    },
  }[metadata.geometry];
  const output = makerOutput
    ? 'const [output] = model.predict(pixels); // [probabilities, maker_probabilities]'
    : 'const output = model.predict(pixels);';
  return `${name} ${metadata.version}, a TensorFlow.js graph model
${describe(input)}

Input "image": float32 [N, ${size}, ${size}, 3], RGB, 0–255: the model normalises it itself. It was trained on ${crop.says};
do the same, or the probabilities are others.
Output "probabilities": float32 [N, ${labels.length}], in the order of "labels" in labels.json.${
    makerOutput ? '\nOutput "maker_probabilities": float32, in the order of "makers" in labels.json.' : ''
  }

Serve this folder with your page, install @tensorflow/tfjs 4.22.0 or later of version 4, and, with a loaded <img> in \`image\`:

import * as tf from '@tensorflow/tfjs';
const model = await tf.loadGraphModel('${name}.tfjs/model.json');
const { labels } = await (await fetch('${name}.tfjs/labels.json')).json();
const canvas = new OffscreenCanvas(${size}, ${size}), context = canvas.getContext('2d');
context.imageSmoothingQuality = 'high';
${crop.side}${crop.side === '' ? '' : '\n'}context.drawImage(image, ${crop.from}, 0, 0, ${size}, ${size});
const pixels = tf.browser.fromPixels(context.getImageData(0, 0, ${size}, ${size})).toFloat().expandDims(0);
${output}
console.log([...(await output.data())].map((p, i) => [labels[i], p]).sort((a, b) => b[1] - a[1]));

A browser's canvas scales images a little differently from the page that trained the model; on equal pixels the probabilities are equal.
`;
}
