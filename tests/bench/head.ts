/**
 * The head on cached features against all layers: the same epochs on the sample data set, on wasm, side by side in one process.
 *
 *     npm run bench -- head [--epochs 20] [--of-all N] [--size 64] [--rounds 3] [--no-pass] [--json] [NETWORK …]    (default: tiny mobilenet_v3_small)
 *
 * Each round trains by the head with an empty cache, again with what the first has kept, with a new pass every epoch, and all layers.
 * `run` is the whole command, from the order to the Test result; `epochs` what lies between weights and the end of the last epoch,
 * the pass that computes features with it. Medians; ratios are those of all layers. `--of-all N`: of all layers only N epochs are run, and
 * their time is taken epochs/N times; `--no-pass`: no new pass every epoch. Both are for large networks, where an epoch takes minutes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ArchitectureName } from '../../src/architectures/settings.ts';
import { openSession } from '../../src/cli/session.ts';
import { diskFeatureStore } from '../../src/platform/node/diskFeatureStore.ts';
import { memoryDatasetStore } from '../../src/platform/node/memoryDatasetStore.ts';
import { memoryRunStore } from '../../src/platform/node/runStore.ts';
import type { RunEvent } from '../../src/training/events.ts';
import { configOf } from '../verify/headless/trainer.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: { type: 'string', default: '20' },
    'of-all': { type: 'string' },
    size: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    'no-pass': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const names = (positionals.length > 0 ? positionals : ['tiny', 'mobilenet_v3_small']) as ArchitectureName[];
const folder = mkdtempSync(join(tmpdir(), 'pacerid-head-'));
const features = diskFeatureStore(folder);
let events: RunEvent[] = [];
const session = openSession({
  datasets: memoryDatasetStore(),
  runs: memoryRunStore(),
  features,
  modelsDir: 'models',
  onTrainer: ({ event }) => events.push(event),
});

const epochs = Number(options.epochs);
const ofAll = Number(options['of-all'] ?? epochs);

const ways = {
  head: { layers: 'head', cached_views: 1 },
  'head, found again': { layers: 'head', cached_views: 1 },
  'head, a pass an epoch': { layers: 'head', cached_views: 0 },
  'all layers': { layers: 'all', cached_views: 1 },
} as const;
type Way = keyof typeof ways;
interface Timed {
  /** Seconds. */
  readonly run: number;
  readonly epochs: number;
}

const configFor = (architecture: ArchitectureName, way: Way) =>
  configOf([], {
    data: { source: 'sample', img_size: Number(options.size) },
    model: { architecture, pretrained: false },
    training: { epochs: way === 'all layers' ? ofAll : epochs, device: 'wasm', ...ways[way] },
  });

async function timed(architecture: ArchitectureName, way: Way, datasetId: string): Promise<Timed> {
  events = [];
  const from = performance.now();
  await session.trainer.start({ config: configFor(architecture, way), datasetId, weightsId: null });
  const run = (performance.now() - from) / 1000;
  const began = events.find(({ type }) => type === 'weightsReady')!.at;
  const ended = events.findLast(({ type }) => type === 'epochEnded')!.at;
  console.error(`${architecture}, ${way}: ${run.toFixed(1)} s`);
  const trained = (ended - began) / 1000;
  const whole = way === 'all layers' ? (trained * epochs) / ofAll : trained;
  return { run: run - trained + whole, epochs: whole };
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const { data } = configFor('tiny', 'head');
const { id } = await session.dataset.importSample({ sample: data.sample, imgSize: data.img_size });
const chosen = (Object.keys(ways) as Way[]).filter((way) => !(options['no-pass'] && way === 'head, a pass an epoch'));
const results: Record<string, Record<string, Timed & { readonly times: Timed }>> = {};
for (const name of names) {
  const all = new Map<Way, Timed[]>();
  for (let round = 0; round < Number(options.rounds); round++) {
    await features.delete(null);
    for (const way of chosen) all.set(way, [...(all.get(way) ?? []), await timed(name, way, id)]);
  }
  const middle = (way: Way): Timed => ({
    run: median(all.get(way)!.map(({ run }) => run)),
    epochs: median(all.get(way)!.map(({ epochs }) => epochs)),
  });
  const whole = middle('all layers');
  results[name] = Object.fromEntries(
    [...all.keys()].map((way) => {
      const { run, epochs } = middle(way);
      return [way, { run, epochs, times: { run: whole.run / run, epochs: whole.epochs / epochs } }];
    }),
  );
}
rmSync(folder, { recursive: true, force: true });

if (options.json) console.log(JSON.stringify({ ...options, results }));
else
  for (const [name, of] of Object.entries(results)) {
    console.log(
      `\n${name}, ${options.size} px, ${epochs} epochs${ofAll === epochs ? '' : ` (of all layers ${ofAll})`}, medians of ${options.rounds}`,
    );
    for (const [way, { run, epochs, times }] of Object.entries(of))
      console.log(
        `  ${way.padEnd(22)} epochs ${epochs.toFixed(2).padStart(7)} s (${times.epochs.toFixed(1)} ×), ` +
          `run ${run.toFixed(2).padStart(7)} s (${times.run.toFixed(1)} ×)`,
      );
  }
process.exit();
