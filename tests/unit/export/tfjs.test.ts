import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import type { Engine } from '../../../src/engine/types.ts';
import { exportFormats, type ExportInput } from '../../../src/export/index.ts';
import { graphBuilder } from '../../../src/graph/builder.ts';
import type { Graph, Weights } from '../../../src/graph/types.ts';
import { interpreter } from '../../../src/parity/interpreter/index.ts';
import { readTfjs } from '../../../src/parity/tfjs/read.ts';
import { options as networkOptions } from '../support/engineSuites.ts';
import { exportInput } from '../support/exportInput.ts';
import { formulaImages, formulaWeights } from '../support/formulaWeights.ts';
import { judged } from '../support/judged.ts';
import { openInNode } from '../support/openInNode.ts';
import { secondsOf } from '../support/processorSeconds.ts';
import { openTfjs, predict } from '../support/tfjsModel.ts';
import { logitsCases } from '../support/torchvisionLogits.ts';

const command = 'npm test -- export/tfjs';
const classes = 45;
const size = 64;
const normalised = formulaImages(2, size);

/** The costliest of it all is to draw the weights. */
const drawn = new Map<ArchitectureName, Weights>();
function weightsOf(name: ArchitectureName, graph: Graph): Weights {
  const known = drawn.get(name);
  if (known !== undefined && graph.classes === classes) return known;
  const weights = formulaWeights(graph);
  if (graph.classes === classes) drawn.set(name, weights);
  return weights;
}

function inputFor(name: ArchitectureName, options: Partial<ExportInput> = {}): ExportInput {
  const labels = options.labels ?? Array.from({ length: classes }, (_, i) => `Maker ${i % 3} - Model ${i}`);
  return exportInput(name, labels, (graph) => weightsOf(name, graph), {
    ...options,
    metadata: { config: '{"a":1}', ...options.metadata },
  });
}

const write = async (input: ExportInput) => (await exportFormats.tfjs.write(input)).bytes;

const storedAs = {
  float32: { precision: 'float32', weightStorage: 'full', tolerance: 1e-5 },
  float16: { precision: 'float16', weightStorage: 'full', tolerance: 5e-3 },
  '8-bit': { precision: 'float32', weightStorage: 'linear', tolerance: 0.05 },
} as const;

/** The pixels, 0–255, whose normalised values are those that torchvision was fed with. */
function pixelsOf({ mean, std }: ExportInput): Float32Array {
  return normalised.map((value, i) => 255 * (value * std[i % 3]! + mean[i % 3]!));
}

function softmax(logits: ArrayLike<number>, temperature = 1): number[] {
  return Array.from({ length: logits.length / classes }, (_, row) => {
    const values = Array.from({ length: classes }, (_, i) => logits[row * classes + i]! / temperature);
    const largest = Math.max(...values);
    const powers = values.map((value) => Math.exp(value - largest));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  }).flat();
}

/** torchvision's probabilities of the two images, from its float64 logits; null for the network that it doesn't have. */
function torchs(name: ArchitectureName, temperature = 1): number[] | null {
  const found = logitsCases.find((one) => one.architecture === name && one.classes === classes && one.size === size);
  return found ? softmax(found.logits, temperature) : null;
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, i) => (Number.isNaN(value) ? Infinity : Math.abs(value - b[i]!))));
}

let engine: Engine;
beforeAll(async () => {
  engine = await openInNode('wasm');
});
afterAll(() => engine.dispose());

describe('a TensorFlow.js model, run by TensorFlow.js', () => {
  /** Of the trained model. */
  async function engines({ graph, weights }: ExportInput): Promise<number[]> {
    const network = await engine.build(graph, weights, networkOptions);
    const logits = await network.predict({ images: normalised, n: 2, size });
    network.dispose();
    return softmax(logits);
  }

  it.each([
    ['densenet121', ['float32', 'float16', '8-bit']],
    ['resnet50', ['float32', 'float16']],
    ['mobilenet_v3_small', ['float32', 'float16', '8-bit']],
    ['tiny', ['float32', 'float16', '8-bit']],
  ] as const)(
    '%s: the engine’s and torch’s probabilities, and those that the reader and the interpreter find',
    async (name, storages) => {
      const input = inputFor(name, { makerOutput: true });
      const pixels = pixelsOf(input);
      const trained = await engines(input);
      for (const storage of storages) {
        const { tolerance, ...how } = storedAs[storage];
        const bytes = await write({ ...input, ...how });
        const { model } = await openTfjs(bytes);
        const [found, makers] = await predict(model, pixels, size);
        model.dispose();
        const row = { network: name, on: 'wasm', tolerance, command };
        const quantity = `TensorFlow.js export, ${storage} weights: |Δp| from`;
        judged({ ...row, quantity: `${quantity} the engine`, error: distance(found!, trained) });
        const torch = torchs(name);
        if (torch !== null) judged({ ...row, quantity: `${quantity} torch`, error: distance(found!, torch) });

        const read = await readTfjs(bytes);
        expect(read).toMatchObject({
          input: { name: 'image', width: size, height: size, colors: 'RGB' },
          labels: input.labels,
          makers: { names: ['Maker 0', 'Maker 1', 'Maker 2'] },
          precision: storage === 'float16' ? 'float16' : 'float32',
          eightBit: storage === '8-bit',
        });
        // Plain arithmetic takes seconds; how weights are stored is the same in every network.
        if ((name === 'densenet121' || name === 'resnet50') && storage !== 'float32') continue;
        const interpreted = await interpreter(read).run(pixels.subarray(0, size * size * 3));
        expect(distance(interpreted.probabilities, found!.subarray(0, classes))).toBeLessThan(5e-6);
        expect(distance(interpreted.makers!, makers!.subarray(0, 3))).toBeLessThan(5e-6);
      }
    },
    60_000,
  );

  it('pads maxima with what is never one, also around numbers below zero', async () => {
    const net = graphBuilder();
    const image = net.input('input', 3);
    const pooled = net.maxPool2d('features', image, { kernel: 3, stride: 2, padding: 1 });
    net.linear('head', net.flatten('flatten', net.globalAvgPool('pool', pooled)), classes);
    const graph = net.finish({ architecture: 'by hand', classes, head: 'head', features: 'features' });
    const input = { ...inputFor('tiny'), graph, weights: formulaWeights(graph) };
    const bytes = await write(input);
    const { model } = await openTfjs(bytes);
    const [found] = await predict(model, pixelsOf(input), size);
    model.dispose();
    expect(distance(found!, await engines(input))).toBeLessThan(1e-6);
    const { probabilities } = await interpreter(await readTfjs(bytes)).run(
      pixelsOf(input).subarray(0, size * size * 3),
    );
    expect(distance(probabilities, found!.subarray(0, classes))).toBeLessThan(1e-6);
  });

  it('has the temperature inside, and the makers’ sums as a second output', async () => {
    const input = inputFor('mobilenet_v3_small', { temperature: 2, makerOutput: true });
    const { model, files } = await openTfjs(await write(input));
    const [probabilities, makers] = await predict(model, pixelsOf(input), size);
    expect(model.outputs.map(({ name }) => name)).toEqual(['probabilities', 'maker_probabilities']);
    model.dispose();
    const torch = torchs('mobilenet_v3_small', 2)!;
    expect(distance(probabilities!, torch)).toBeLessThan(1e-5);
    expect(distance(probabilities!, torchs('mobilenet_v3_small')!)).toBeGreaterThan(1e-3);
    const sums = [0, 1].flatMap((image) =>
      [0, 1, 2].map((maker) => torch.filter((_, i) => Math.floor(i / classes) === image && i % 3 === maker)),
    );
    expect(
      distance(
        makers!,
        sums.map((all) => all.reduce((a, b) => a + b)),
      ),
    ).toBeLessThan(1e-5);
    const names = JSON.parse(new TextDecoder().decode(files.get('labels.json'))) as object;
    expect(names).toEqual({ labels: input.labels, makers: ['Maker 0', 'Maker 1', 'Maker 2'] });
  });
});

describe('a TensorFlow.js model’s files', () => {
  it('are a folder with weights in shards of 4 MB', async () => {
    const { json, files } = await openTfjs(await write(inputFor('densenet121', { makerOutput: true })));
    expect([...files.keys()]).toEqual(['README.txt', 'labels.json', 'model.json', ...json.weightsManifest[0]!.paths]);
    const sizes = json.weightsManifest[0]!.paths.map((path) => files.get(path)!.length);
    expect(sizes.length).toBe(Math.ceil(sizes.reduce((a, b) => a + b) / 2 ** 22));
    expect(sizes.slice(0, -1).every((bytes) => bytes === 2 ** 22)).toBe(true);
    expect(json).toMatchObject({
      format: 'graph-model',
      signature: {
        inputs: {
          image: {
            name: 'image:0',
            tensorShape: { dim: [{ size: '-1' }, { size: '64' }, { size: '64' }, { size: '3' }] },
          },
        },
        outputs: { probabilities: { name: 'probabilities:0' }, maker_probabilities: { name: 'maker_probabilities:0' } },
      },
      userDefinedMetadata: { version: '1.2.3', description: 'Names the device. Not a medical device.' },
    });
    const readme = new TextDecoder().decode(files.get('README.txt'));
    expect(readme).toContain("tf.loadGraphModel('PacerIDClassifier.tfjs/model.json')");
    expect(readme).toContain('center_crop');
  });

  it('are half as large in float16, a quarter in 8 bits', async () => {
    const input = inputFor('mobilenet_v3_small');
    const whole = (await write(input)).length;
    expect((await write({ ...input, precision: 'float16' })).length / whole).toBeCloseTo(0.5, 1);
    expect((await write({ ...input, weightStorage: 'linear' })).length / whole).toBeCloseTo(0.26, 1);
  });

  it('are the same bytes for the same model, and others for another', async () => {
    const input = inputFor('tiny');
    const first = Buffer.from(await write(input));
    await new Promise((resolve) => setTimeout(resolve, 2100)); // A zip's clock ticks every two seconds.
    expect(first.equals(await write(inputFor('tiny')))).toBe(true);
    expect(first.equals(await write({ ...input, temperature: 1.5 }))).toBe(false);
  });

  it('are written in less than two seconds for DenseNet121', async () => {
    const input = inputFor('densenet121');
    expect((await secondsOf(() => write(input))).total).toBeLessThan(2);
  });

  it('keep what a label holds, whatever that is, and 200 of them', async () => {
    const odd = [
      'a, "b"',
      "l'été",
      'Ä\u0308 – 心臓 🫀',
      '{"x":1}',
      'back\\slash',
      'tab\tand\nline',
      'A - B',
      '<b>&amp;',
    ];
    const labels = [...odd, ...Array.from({ length: 192 }, (_, i) => `Model ${i}`)];
    const bytes = await write(inputFor('tiny', { labels, makerOutput: true }));
    const { files } = await openTfjs(bytes);
    const kept = JSON.parse(new TextDecoder().decode(files.get('labels.json'))) as { labels: string[] };
    expect(kept.labels).toEqual(labels);
    const read = await readTfjs(bytes);
    expect(read.labels).toEqual(labels);
    expect(read.makers?.names).toEqual([...odd.slice(0, 6), 'A', '<b>&amp;', ...labels.slice(8)]);
  });

  it('can’t hold a weight beyond float16 in float16', async () => {
    const input = inputFor('tiny', { precision: 'float16' });
    const weight = input.weights.get('classifier.weight')!;
    const weights = new Map(input.weights).set('classifier.weight', { ...weight, data: weight.data.map(() => 70000) });
    await expect(write({ ...input, weights })).rejects.toThrow('70000');
  });

  it('need a label for every class', async () => {
    await expect(write({ ...inputFor('tiny'), labels: ['a'] })).rejects.toThrow('1 labels');
  });
});
