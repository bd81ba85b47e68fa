/**
 * `npm run bench -- export [ARCHITECTURE …]`: how long the formats take to write each network, in each form that they know, how large
 * it gets, and for how long at a time the thread that writes answers nothing else.
 */
import { architectures } from '../../src/architectures/index.ts';
import type { ArchitectureName } from '../../src/architectures/settings.ts';
import { exportFormats, type ExportFormat, type ExportInput } from '../../src/export/index.ts';
import { parametersOf, sizeOf } from '../../src/graph/parameters.ts';
import type { Graph, Weights } from '../../src/graph/types.ts';
import { exportInput } from '../unit/support/exportInput.ts';

const classes = 45;
const rounds = 3;
const wanted = process.argv.slice(2).filter((name) => name in architectures) as ArchitectureName[];
const names: readonly ArchitectureName[] =
  wanted.length > 0 ? wanted : ['mobilenet_v3_small', 'resnet50', 'densenet121'];

console.log('| network | format | precision | weights | s | MB | silent for, ms |\n|---|---|---|---|---|---|---|');
for (const name of names) {
  const input = inputOf(name);
  for (const format of Object.values(exportFormats) as ExportFormat[]) {
    for (const precision of format.precisions) {
      for (const weightStorage of format.weightStorages ?? (['full'] as const)) {
        let [seconds, silence, bytes] = [Infinity, Infinity, 0];
        for (let round = 0; round < rounds; round++) {
          const measured = await measure(format, { ...input, precision, weightStorage });
          if (measured.seconds < seconds) ({ seconds, silence, bytes } = measured);
        }
        const cells = [name, format.id, precision, weightStorage, seconds.toFixed(2), (bytes / 1e6).toFixed(2)];
        console.log(`| ${cells.join(' | ')} | ${silence.toFixed(0)} |`);
      }
    }
  }
}

async function measure(format: ExportFormat, input: ExportInput) {
  let [last, silence] = [performance.now(), 0];
  const answer = () => {
    silence = Math.max(silence, performance.now() - last);
    last = performance.now();
  };
  const ticking = setInterval(answer, 1);
  const began = performance.now();
  const { bytes } = await format.write(input);
  const seconds = (performance.now() - began) / 1000;
  answer();
  clearInterval(ticking);
  return { seconds, silence, bytes: bytes.length };
}

/** Weights as a trained network's are spread: bell-shaped, each tensor by its fan-in. */
function spreadWeights(graph: Graph): Weights {
  let state = 1;
  const uniform = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) + 0.5) / 2 ** 32;
  return new Map(
    parametersOf(graph).map(({ name, shape, kind }) => {
      const size = sizeOf(shape);
      const spread = shape.length === 1 ? 0.1 : Math.sqrt(2 / (size / (shape[0] as number)));
      const centre = kind === 'running_var' ? 1 : 0;
      const data = new Float32Array(size).map(
        () => centre + (spread * (uniform() + uniform() + uniform() + uniform() - 2)) / 2,
      );
      return [name, { shape, data }];
    }),
  );
}

function inputOf(name: ArchitectureName): ExportInput {
  const labels = Array.from({ length: classes }, (_, index) => `MAKER - Model ${index}`);
  return exportInput(name, labels, spreadWeights, { imageSize: 224 });
}
