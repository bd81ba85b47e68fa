import { architectures } from '../../../src/architectures/index.ts';
import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import { openInference } from '../../../src/engine/inference.ts';
import { exportFormats, type ExportInput } from '../../../src/export/index.ts';
import { certify, type CertifyOptions } from '../../../src/parity/certify.ts';
import type { CertificateImage, CertifiedFormat } from '../../../src/parity/types.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';
import { exportInput } from '../support/exportInput.ts';
import { formulaWeights, signed } from '../support/formulaWeights.ts';

export const size = 64;
export const labels = ['MDT - Azure', 'BOS - "Quoted", and more', 'MDT - Advisa', 'STJ - Früh'];

export function inputFor(name: ArchitectureName, change: Partial<ExportInput> = {}): ExportInput {
  return exportInput(name, labels, formulaWeights, change);
}

export const written = async (
  name: ArchitectureName,
  change: Partial<ExportInput> = {},
  format: CertifiedFormat = 'mlpackage',
) => (await exportFormats[format].write(inputFor(name, change))).bytes;

/** Coloured slopes with noise, so that colours and places matter. */
export function pixelsOf(name: string): Uint8Array {
  const noise = signed(name, size * size * 3);
  const tint = signed(`${name} tint`, 3);
  return Uint8Array.from(noise, (value, i) => {
    const [x, c] = [Math.floor(i / 3) % size, i % 3];
    return Math.max(0, Math.min(255, 110 + 90 * tint[c]! + x + 25 * value));
  });
}

/** Four images with what the engine says of them, of which parity knows nothing. */
export async function imagesFor(name: ArchitectureName): Promise<CertificateImage[]> {
  const { mean, std } = architectures[name];
  const pixels = Array.from({ length: 4 }, (_, i) => pixelsOf(`parity ${i}`));
  const engine = await openInference(await nodeEngineEnvironment({ gpu: false }));
  const { graph, weights } = inputFor(name);
  const network = await engine.build(graph, weights);
  const images = Float32Array.from(
    pixels.flatMap((own) => Array.from(own, (value, i) => (value / 255 - mean[i % 3]!) / std[i % 3]!)),
  );
  const logits = await network.predict({ images, n: pixels.length, size });
  network.dispose();
  return pixels.map((own, i) => {
    const row = [...logits.subarray(i * labels.length, (i + 1) * labels.length)];
    const terms = row.map((logit) => Math.exp(logit - Math.max(...row)));
    const sum = terms.reduce((a, b) => a + b);
    return {
      name: `Test/${i}.png`,
      label: i % 2,
      trained: Float32Array.from(terms, (term) => term / sum),
      pixels: () => Promise.resolve(own),
      golden: i < 3,
    };
  });
}

/** Of a package, by float32's threshold, unless something else is said. */
export const certifiedOn = async (
  images: readonly CertificateImage[],
  bytes: Uint8Array,
  change: Partial<CertifyOptions> = {},
) =>
  certify({
    bytes,
    format: 'mlpackage',
    fileName: 'PacerIDClassifier.mlpackage.zip',
    images,
    imageSize: size,
    labels,
    makers: null,
    imagesFrom: { split: 'test', dataset: 'Sample', hash: 'abc' },
    thresholds: { maxDifference: 1e-5, maxFlips: 0 },
    ...change,
  });
