import { fromBinary, toBinary } from '@bufbuild/protobuf';
import JSZip from 'jszip';
import type { Operation } from '../../../src/export/coreml/generated/MIL_pb.ts';
import { ModelSchema, type Model } from '../../../src/export/coreml/generated/Model_pb.ts';
import type { WeightParams } from '../../../src/export/coreml/generated/NeuralNetwork_pb.ts';
import { ModelProtoSchema, type ModelProto } from '../../../src/export/onnx/generated/onnx_pb.ts';
import type { CertifiedFormat } from '../../../src/parity/types.ts';

/**
 * Written files with something wrong in them. What is changed is found by the formats' own definitions (Apple's and ONNX's protobuf types, MIL's
 * blob storage, TensorFlow.js' JSON), not by the readers under test.
 */
interface Faults {
  withoutSoftmax(bytes: Uint8Array): Promise<Uint8Array>;
  /** The same numbers, said to be for images in BGR; null where the format has no word for it. */
  readonly saysBgr: ((bytes: Uint8Array) => Promise<Uint8Array>) | null;
  /**
   * Changes in place the bytes of the tensor that takes most of them: its `numbers`, or, where these are 8 bits each, the float32 `table` or
   * scales by which they are weights.
   */
  changed(bytes: Uint8Array, part: Part, change: (data: Uint8Array) => void): Promise<Uint8Array>;
}
export type Part = 'numbers' | 'table';

export const packageFolder = 'PacerIDClassifier.mlpackage/Data/com.apple.CoreML';

/** A zip with one of its files changed. */
async function changedFile(bytes: Uint8Array, path: string, change: (content: Uint8Array) => Uint8Array) {
  const zip = await JSZip.loadAsync(bytes);
  zip.file(path, change(await zip.file(path)!.async('uint8array')));
  return zip.generateAsync({ type: 'uint8array' });
}

/** The package with one of its files changed. */
export const edited = (bytes: Uint8Array, path: string, change: (content: Uint8Array) => Uint8Array) =>
  changedFile(bytes, `${packageFolder}/${path}`, change);

/** Of a copy: what protobuf calls bytes is a view of those that it read. */
function changedModel(content: Uint8Array, change: (model: Model) => void): Uint8Array {
  const model = fromBinary(ModelSchema, content.slice());
  change(model);
  return toBinary(ModelSchema, model);
}
export const editedModel = (bytes: Uint8Array, change: (model: Model) => void) =>
  edited(bytes, 'model.mlmodel', (content) => changedModel(content, change));

export function operationsOf(model: Model): Operation[] {
  if (model.Type.case !== 'mlProgram') throw new Error('no program');
  return Object.values(model.Type.value.functions['main']!.blockSpecializations)[0]!.operations;
}

/** FeatureTypes.proto, `ImageFeatureType.ColorSpace`. */
function sayBgr(model: Model): void {
  const image = model.description!.input[0]!.type!.Type;
  if (image.case === 'imageType') image.value.colorSpace = 30;
}

const largestOf = <One>(all: readonly One[], sizeOf: (one: One) => number): One =>
  all.reduce((best, one) => (sizeOf(one) > sizeOf(best) ? one : best));

interface Blob {
  readonly start: number;
  readonly size: number;
  /** 2 is float32. */
  readonly type: number;
}
/** Where the data of blobs begin, and how many bytes they are: StorageFormat.hpp. */
function blobsOf(weights: Uint8Array): readonly Blob[] {
  const view = new DataView(weights.buffer, weights.byteOffset, weights.byteLength);
  const blobs: Blob[] = [];
  for (let at = 64; at < weights.length;) {
    const [size, start] = [8, 16].map((field) => Number(view.getBigUint64(at + field, true))) as [number, number];
    blobs.push({ start, size, type: view.getUint32(at + 4, true) });
    at = start + Math.ceil(size / 64) * 64;
  }
  return blobs;
}
export const largestBlob = (weights: Uint8Array): Blob => largestOf(blobsOf(weights), (blob) => blob.size);

const mlpackage: Faults = {
  withoutSoftmax: (bytes) =>
    editedModel(bytes, (model) => {
      const softmax = operationsOf(model).find(({ type }) => type === 'softmax')!;
      softmax.type = 'identity';
      delete softmax.inputs['axis'];
    }),
  saysBgr: (bytes) => editedModel(bytes, sayBgr),
  changed: (bytes, part, change) =>
    edited(bytes, 'weights/weight.bin', (weights) => {
      const largest = largestBlob(weights);
      const blob =
        part === 'numbers' ? largest : blobsOf(weights).find(({ start, type }) => start > largest.start && type === 2)!;
      change(weights.subarray(blob.start, blob.start + blob.size));
      return weights;
    }),
};

function layersOf(model: Model) {
  if (model.Type.case !== 'neuralNetworkClassifier') throw new Error('no neural network');
  return model.Type.value.layers;
}
/** Changes numbers that protobuf holds as such. */
function changeFloats(values: number[], change: (data: Uint8Array) => void): void {
  const floats = Float32Array.from(values);
  change(new Uint8Array(floats.buffer));
  values.splice(0, values.length, ...floats);
}

const mlmodel: Faults = {
  withoutSoftmax: (bytes) =>
    Promise.resolve(
      changedModel(bytes, (model) => {
        const layers = layersOf(model);
        const [softmax] = layers.splice(
          layers.findIndex(({ layer }) => layer.case === 'softmax'),
          1,
        );
        layers.find(({ output }) => output[0] === softmax!.input[0])!.output = softmax!.output;
      }),
    ),
  saysBgr: (bytes) => Promise.resolve(changedModel(bytes, sayBgr)),
  changed: (bytes, part, change) =>
    Promise.resolve(
      changedModel(bytes, (model) => {
        const all = layersOf(model).flatMap(({ layer }) =>
          layer.case === 'convolution' || layer.case === 'innerProduct' ? [layer.value.weights!] : [],
        );
        const lying = ({ floatValue, float16Value, rawValue }: WeightParams) =>
          largestOf([floatValue, float16Value, rawValue], (data) => data.length);
        const largest = largestOf(all, (weights) => lying(weights).length);
        if (part === 'numbers') return change(lying(largest));
        const how = largest.quantization!.QuantizationType;
        changeFloats(how.case === 'linearQuantization' ? how.value.scale : how.value!.floatValue, change);
      }),
    ),
};

function changedOnnx(bytes: Uint8Array, change: (model: ModelProto) => void): Promise<Uint8Array> {
  const model = fromBinary(ModelProtoSchema, bytes.slice());
  change(model);
  return Promise.resolve(toBinary(ModelProtoSchema, model));
}
const onnx: Faults = {
  withoutSoftmax: (bytes) =>
    changedOnnx(bytes, (model) => {
      const softmax = model.graph!.node.find(({ opType }) => opType === 'Softmax')!;
      softmax.opType = 'Identity';
      softmax.attribute = [];
    }),
  // onnx/docs/MetadataProps.md
  saysBgr: (bytes) =>
    changedOnnx(bytes, (model) => {
      model.metadataProps.find(({ key }) => key === 'Image.BitmapPixelFormat')!.value = 'Bgr8';
    }),
  changed: (bytes, part, change) =>
    changedOnnx(bytes, (model) => {
      const { initializer } = model.graph!;
      const largest = largestOf(initializer, ({ rawData }) => rawData.length);
      const table = largest.name.replace(/\.indices$/, '.palette').replace(/\.quantized$/, '.scale');
      change((part === 'numbers' ? largest : initializer.find(({ name }) => name === table)!).rawData);
    }),
};

/** As far as it is looked at here. */
interface TfjsModel {
  readonly modelTopology: { readonly node: { name: string; op: string; attr?: object }[] };
  readonly weightsManifest: readonly {
    readonly paths: readonly string[];
    readonly weights: readonly {
      readonly name: string;
      readonly shape: readonly number[];
      readonly quantization?: { readonly dtype: 'float16' | 'uint8' };
    }[];
  }[];
}
const tfjsFolder = 'PacerIDClassifier.tfjs';

/** Where tensors' bytes stand, one after the other: tfjs-core/src/io/io_utils.ts, `decodeWeights`. */
async function tfjsTensors(bytes: Uint8Array) {
  const text = await (await JSZip.loadAsync(bytes)).file(`${tfjsFolder}/model.json`)!.async('string');
  const [{ paths, weights }] = (JSON.parse(text) as TfjsModel).weightsManifest as [TfjsModel['weightsManifest'][0]];
  if (paths.length !== 1) throw new Error('weights in several files');
  let end = 0;
  const tensors = weights.map(({ name, shape, quantization }) => {
    const width = quantization === undefined ? 4 : quantization.dtype === 'float16' ? 2 : 1;
    const start = end;
    end += width * shape.reduce((a, b) => a * b, 1);
    return { name, start, end };
  });
  return { file: paths[0]!, tensors };
}
const tfjs: Faults = {
  withoutSoftmax: (bytes) =>
    changedFile(bytes, `${tfjsFolder}/model.json`, (content) => {
      const model = JSON.parse(new TextDecoder().decode(content)) as TfjsModel;
      model.modelTopology.node.find(({ op }) => op === 'Softmax')!.op = 'Identity';
      return new TextEncoder().encode(JSON.stringify(model));
    }),
  saysBgr: null,
  async changed(bytes, part, change) {
    const { file, tensors } = await tfjsTensors(bytes);
    const largest = largestOf(tensors, ({ start, end }) => end - start);
    const { start, end } = part === 'numbers' ? largest : tensors.find(({ name }) => name === `${largest.name}_scale`)!;
    return changedFile(bytes, `${tfjsFolder}/${file}`, (content) => {
      change(content.subarray(start, end));
      return content;
    });
  },
};

export const faultyFiles: Readonly<Record<CertifiedFormat, Faults>> = { mlpackage, mlmodel, onnx, tfjs };
