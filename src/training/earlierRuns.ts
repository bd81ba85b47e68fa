import type { AdapterReport } from '../engine/types.ts';
import { median } from './median.ts';
import { precisionOn } from './precision.ts';
import { foldRun } from './runState.ts';
import type { RunConfig, RunRecord, RunStore } from './types.ts';

/** Logs are long: of so many runs they are read. */
const MOST = 3;

/**
 * Seconds that a training image took, all included, in the newest runs of this device that trained every epoch through the same network in
 * the same way; an image of validation is taken for a third of one. Null: there is no such run.
 */
export async function secondsPerImage(
  store: Pick<RunStore, 'list' | 'events'>,
  device: AdapterReport,
  config: RunConfig,
): Promise<number | null> {
  const wayOf = (one: RunConfig): string | null => wayOn(device, one);
  const wanted = wayOf(config);
  if (wanted === null) return null;
  const like = (await store.list()).filter((record) => record.latestEpoch !== null && wayOf(record.config) === wanted);
  const found: number[] = [];
  for (const { id } of newest(like)) {
    const { adapter, history } = foldRun(await store.events(id));
    if (adapter?.backend !== device.backend || adapter.label !== device.label) continue;
    // The first epoch compiles and decodes.
    const rows = history.length > 1 ? history.slice(1) : history;
    for (const { seconds, train, validation } of rows) {
      const images = train.n + (validation?.n ?? 0) / 3;
      // In float16 an epoch may have said nothing of any image.
      if (train.n > 0) found.push(seconds / images);
    }
  }
  return found.length > 0 ? median(found) : null;
}

function newest(records: readonly RunRecord[]): RunRecord[] {
  return records.toSorted((a, b) => b.createdAt - a.createdAt).slice(0, MOST);
}

/** What the time of an image depends on; null: epochs don't go through the network. */
function wayOn(device: AdapterReport, { model, data, training }: RunConfig): string | null {
  const { layers, cached_views, augmentation, batchnorm_batch, optimizer, tune } = training;
  if (layers === 'head' && cached_views > 0) return null;
  return JSON.stringify([
    model.architecture,
    data.img_size,
    data.batch_size,
    layers,
    augmentation.enabled,
    batchnorm_batch,
    optimizer,
    // Elsewhere there is nothing to choose.
    device.backend === 'webgpu' && tune,
    precisionOn(device, training),
  ]);
}
