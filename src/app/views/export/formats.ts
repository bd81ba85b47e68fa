import type { Precision, WeightStorage } from '../../../workers/protocol.ts';
import type { Choice } from '../../state/exporting.svelte.ts';

/** What the page says of a format, and what it can hold: as its `ExportFormat` does, which a test compares. */
export interface FormatWords {
  readonly title: string;
  /** What the file is called after the model's name. */
  readonly ending: string;
  readonly who: string;
  readonly precisions: readonly Precision[];
  readonly weights: readonly WeightStorage[];
  readonly makers: boolean;
  /** Whether it is read back and compared: what isn't are weights, without anything that runs. */
  readonly certified: boolean;
}

export const weightWords: Readonly<Record<WeightStorage, string>> = {
  full: 'full weights',
  palettized: '8 bits, palettized',
  linear: '8 bits, linear',
};

const all: readonly WeightStorage[] = ['full', 'palettized', 'linear'];

export const formats: Readonly<Record<Choice, FormatWords>> = {
  mlpackage: {
    title: 'Core ML package',
    ending: '.mlpackage',
    who: 'For Xcode, iOS 15 and later: unzip it and drag the folder in.',
    precisions: ['float16', 'float32'],
    weights: all,
    makers: true,
    certified: true,
  },
  mlmodel: {
    title: 'Core ML model file',
    ending: '.mlmodel',
    who: 'One file for apps that run on iOS 14 or older, or load a .mlmodel by name.',
    precisions: ['float16', 'float32'],
    weights: all,
    makers: true,
    certified: true,
  },
  bundle: {
    title: 'Bundle',
    ending: '-bundle.zip',
    who: 'For whoever builds the app: package, certificate, labels, settings, weights, Swift, and a test that shows the same on a Mac. For that it holds the images of the certificate, as PNG: who gets the bundle sees them.',
    precisions: ['float16', 'float32'],
    weights: all,
    makers: true,
    certified: true,
  },
  onnx: {
    title: 'ONNX',
    ending: '.onnx',
    who: 'For onnxruntime on servers, desktops, Android and the web.',
    precisions: ['float32', 'float16'],
    weights: all,
    makers: true,
    certified: true,
  },
  tfjs: {
    title: 'TensorFlow.js',
    ending: '.tfjs.zip',
    who: 'For web pages and Node: a graph model that tf.loadGraphModel opens.',
    precisions: ['float32', 'float16'],
    weights: ['full', 'linear'],
    makers: true,
    certified: true,
  },
  pytorch: {
    title: 'PyTorch',
    ending: '.pytorch.zip',
    who: 'For Python: the weights, and a script that loads them into torchvision’s network.',
    precisions: ['float32'],
    weights: ['full'],
    makers: false,
    certified: false,
  },
  safetensors: {
    title: 'Weights alone',
    ending: '.safetensors',
    who: 'For further training: torchvision’s names, which load_state_dict takes as they are.',
    precisions: ['float32'],
    weights: ['full'],
    makers: false,
    certified: false,
  },
  coremltools_kit: {
    title: 'coremltools kit',
    ending: '.coremltools.zip',
    who: 'For those who want Apple’s own converter: the weights, and a script that makes the package with it.',
    precisions: ['float16', 'float32'],
    weights: ['full'],
    makers: false,
    certified: false,
  },
};

export const groups: readonly { readonly title: string; readonly choices: readonly Choice[] }[] = [
  { title: 'For an iPhone', choices: ['mlpackage', 'mlmodel', 'bundle'] },
  { title: 'Elsewhere', choices: ['onnx', 'tfjs', 'pytorch', 'safetensors', 'coremltools_kit'] },
];

/** Bytes that a parameter takes, about. */
export function bytesPerParameter(precision: Precision, weights: WeightStorage): number {
  return weights === 'full' ? (precision === 'float16' ? 2 : 4) : 1;
}
