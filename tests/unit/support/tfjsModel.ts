import * as tf from '@tensorflow/tfjs';
import JSZip from 'jszip';

/** A zip with a graph model in one folder, as TensorFlow.js itself opens it; on whatever backend is on. */
export async function openTfjs(bytes: Uint8Array): Promise<{
  readonly model: tf.GraphModel;
  readonly json: tf.io.ModelJSON;
  readonly files: ReadonlyMap<string, Uint8Array>;
}> {
  const files = new Map<string, Uint8Array>();
  const folders = new Set<string>();
  for (const file of Object.values((await JSZip.loadAsync(bytes)).files)) {
    folders.add(file.name.split('/')[0]!);
    if (!file.dir) files.set(file.name.split('/').slice(1).join('/'), await file.async('uint8array'));
  }
  if (folders.size !== 1) throw new Error(`The zip's top holds ${[...folders].join(', ')}`);
  const json = JSON.parse(new TextDecoder().decode(files.get('model.json'))) as tf.io.ModelJSON;
  const artifacts = await tf.io.getModelArtifactsForJSON(json, (manifest) => {
    const shards = manifest.flatMap(({ paths }) => paths).map((path) => files.get(path)!);
    return Promise.resolve([tf.io.getWeightSpecs(manifest), new Uint8Array(Buffer.concat(shards)).buffer]);
  });
  return { model: await tf.loadGraphModel({ load: () => Promise.resolve(artifacts) }), json, files };
}

/** What a model says of images `[N,size,size,3]`, 0–255: a list of numbers an output. */
export async function predict(model: tf.GraphModel, pixels: Float32Array, size: number): Promise<Float32Array[]> {
  const images = tf.tensor4d(pixels, [pixels.length / (size * size * 3), size, size, 3]);
  const found = model.predict(images) as tf.Tensor | tf.Tensor[];
  const outputs = Array.isArray(found) ? found : [found];
  const numbers = await Promise.all(outputs.map(async (output) => Float32Array.from(await output.data())));
  tf.dispose([images, ...outputs]);
  return numbers;
}
