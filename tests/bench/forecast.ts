/**
 * How long an epoch takes on wasm beside what was forecast before it: of the sample data set, in Node, on this processor.
 *
 *     npm run bench -- forecast [--epochs 3] [--json] [NETWORK:SIZE:BATCH …]
 *
 * By default tiny:64:16, as in configs/sample.yaml, and mobilenet_v3_small:64:32. The forecast is that of the page's table; beside it stands
 * what a run itself says after its first steps. An epoch is that of the log, its validation pass included: the median without the first.
 */
import { parseArgs } from 'node:util';
import type { ArchitectureName } from '../../src/architectures/settings.ts';
import { openSession } from '../../src/cli/session.ts';
import { settingsOf } from '../../src/cli/settings.ts';
import { memoryDatasetStore } from '../../src/platform/node/memoryDatasetStore.ts';
import { memoryRunStore } from '../../src/platform/node/runStore.ts';
import type { RunEvent } from '../../src/training/events.ts';
import { median } from './engine/median.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { epochs: { type: 'string', default: '3' }, json: { type: 'boolean', default: false } },
});
const cases = positionals.length > 0 ? positionals : ['tiny:64:16', 'mobilenet_v3_small:64:32'];
const rows = [];
for (const which of cases) {
  const [name, size, batch] = which.split(':') as [ArchitectureName, string, string];
  rows.push(await compared(name, Number(size), Number(batch)));
}
if (options.json) console.log(JSON.stringify(rows));

async function compared(name: ArchitectureName, size: number, batch: number) {
  const { config: base } = await settingsOf({ config: 'configs/sample.yaml' });
  const config = {
    ...base,
    data: { ...base.data, img_size: size, batch_size: batch },
    model: { architecture: name, pretrained: false },
    training: { ...base.training, device: 'wasm', epochs: Number(options.epochs) } as const,
  };
  const events: RunEvent[] = [];
  const session = openSession({
    datasets: memoryDatasetStore(),
    runs: memoryRunStore(),
    modelsDir: 'none',
    onTrainer: ({ event }) => events.push(event),
  });
  const dataset = await session.dataset.importSample({ sample: config.data.sample, imgSize: size });
  const given = { config, datasetId: dataset.id, weightsId: null };
  const ways = await session.trainer.estimate(given);
  const way = ways.find((one) => one.architecture === name && one.layers === 'all')!;
  events.length = 0;
  await session.trainer.start(given);
  const epochs = events.flatMap((event) => (event.type === 'epochEnded' ? [event.seconds] : []));
  const epoch = median(epochs.length > 1 ? epochs.slice(1) : epochs);
  const notice = events.flatMap((event) => (event.type === 'notice' ? [event.text] : []));
  const row = {
    net: name,
    image_size: size,
    batch,
    forecast_s: way.secondsPerEpoch,
    epochs_s: epochs,
    ratio: way.secondsPerEpoch / epoch,
  };
  console.log(
    `${name}, ${size} px, batch ${batch}: forecast ${way.secondsPerEpoch.toFixed(2)} s, epochs ${epochs.map((s) => s.toFixed(2)).join(', ')} s; ` +
      `forecast / epoch ${row.ratio.toFixed(2)}. ${notice.join(' ')}`,
  );
  return row;
}
