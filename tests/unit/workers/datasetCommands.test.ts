import JSZip from 'jszip';
import { describe, expect, it } from 'vitest';
import { checkedDecoder } from '../../../src/dataset/decoding.ts';
import { drawSample } from '../../../src/dataset/sample/drawSample.ts';
import { imageDecoder } from '../../../src/platform/node/imageDecoder.ts';
import { featureStore } from '../../../src/platform/browser/featureStore.ts';
import { memoryDatasetStore } from '../../../src/platform/node/memoryDatasetStore.ts';
import { augmentationCommands } from '../../../src/workers/augmentationCommands.ts';
import { datasetCommands } from '../../../src/workers/datasetCommands.ts';
import { downloadCommands } from '../../../src/workers/downloadCommands.ts';
import { createEndpoint } from '../../../src/workers/endpoint.ts';
import { holdsModel } from '../../../src/workers/holdsModel.ts';
import type { DatasetCommands, DatasetEvent } from '../../../src/workers/protocol.ts';
import { jpegs, zipOf } from '../dataset/archives.ts';
import { memoryKeyValue } from '../support/memoryKeyValue.ts';

const sample = { seed: 5, classes: 6, train_per_class: 4, test_per_class: 1, size: 64 };

function worker() {
  const store = memoryDatasetStore();
  const features = featureStore(memoryKeyValue().records, { free: () => Promise.resolve(null) });
  const platform = {
    store,
    features,
    decoder: checkedDecoder(imageDecoder()),
    importing: <T>(work: () => Promise<T>) => work(),
  };
  type Emit = Parameters<typeof datasetCommands>[1];
  const emit: Emit = (event) => worker.emit(event);
  const nowhere = { fetch, page: 'http://localhost/', room: () => Promise.resolve(null), now: () => 0 };
  const worker = createEndpoint<DatasetCommands, DatasetEvent>({
    ...datasetCommands(platform, emit),
    ...augmentationCommands({ ...platform, membersOf: () => Promise.resolve(null) }),
    ...downloadCommands(nowhere, emit),
    holdsModel,
    storedByNewer: () => null,
  });
  return { ...worker.endpoint, features };
}
async function value<T>(outcome: Promise<{ ok: boolean; value?: T; error?: unknown }>): Promise<T> {
  const { ok, value, error } = await outcome;
  if (!ok) throw new Error(JSON.stringify(error));
  return value as T;
}

describe('the dataset worker', () => {
  it('draws, lists, shows and deletes the sample data set', async () => {
    const endpoint = worker();
    const events: DatasetEvent[] = [];
    await endpoint.subscribe((batch) => void events.push(...batch));
    const dataset = await value(endpoint.dispatch('importSample', { sample, imgSize: 32 }));
    expect(events.at(-1)).toMatchObject({ type: 'importProgress', stage: 'storing', done: 30, total: 30 });
    expect(await value(endpoint.dispatch('list', null))).toEqual([dataset]);
    const found = async (other: Partial<typeof sample>) =>
      value(endpoint.dispatch('findSample', { sample: { ...sample, ...other } }));
    expect(await found({})).toBe(dataset.id);
    for (const other of [{ seed: 6 }, { size: 65 }, { classes: 7 }, { train_per_class: 5 }])
      expect(await found(other)).toBeNull();
    const thumbnails = await value(endpoint.dispatch('thumbnails', { id: dataset.id, indices: [29, 0], side: 20 }));
    expect(thumbnails.map(({ width, height, data }) => [width, height, data.buffer.byteLength])).toEqual(
      Array(2).fill([20, 20, 1200]),
    );
    const original = await value(endpoint.dispatch('original', { id: dataset.id, index: 7 }));
    const drawn = [...drawSample(sample)].find(({ path }) => path === dataset.images[7]?.path);
    expect(original.type).toBe('image/png');
    expect(new Uint8Array(await original.arrayBuffer())).toEqual(drawn?.png);
    const kept = (): Promise<number> => value(endpoint.dispatch('features', null));
    for (const hash of [dataset.hash, 'of another']) {
      await endpoint.features.write({ id: hash, dataset: hash }, 0, new Uint8Array(100));
    }
    expect(await kept()).toBe(200);
    await value(endpoint.dispatch('delete', { id: dataset.id }));
    expect(await kept()).toBe(100);
    await value(endpoint.dispatch('deleteFeatures', null));
    expect(await kept()).toBe(0);
    expect(await endpoint.dispatch('thumbnails', { id: dataset.id, indices: [0], side: 20 })).toMatchObject({
      ok: false,
      error: { name: 'NoSuchDatasetError' },
    });
  });

  it('zips the sample data set: the same archive each time, and it imports as what it was', async () => {
    const endpoint = worker();
    const zip = await value(endpoint.dispatch('sampleZip', { sample }));
    const again = await value(endpoint.dispatch('sampleZip', { sample }));
    expect(new Uint8Array(await again.arrayBuffer())).toEqual(new Uint8Array(await zip.arrayBuffer()));
    expect(Object.keys((await JSZip.loadAsync(await zip.arrayBuffer())).files)).toHaveLength(30);
    const files = [{ path: 'sample.zip', file: zip }];
    const request = { files, name: 'sample.zip', source: 'zip' as const, imgSize: 32, decoders: 2 };
    const imported = await value(endpoint.dispatch('importFiles', request));
    const drawn = await value(endpoint.dispatch('importSample', { sample, imgSize: 32 }));
    expect(imported.hash).toBe(drawn.hash);
    expect(imported.synthetic).toBe(false);
  });

  it('adds images to a data set, whose progress and refusals are those of an import, and zips the result', async () => {
    const endpoint = worker();
    const drawn = await value(endpoint.dispatch('importSample', { sample, imgSize: 32 }));
    const events: DatasetEvent[] = [];
    await endpoint.subscribe((batch) => void events.push(...batch));
    const file = await zipOf({ ...(await jpegs('New', 4, 0)), ...(await jpegs(drawn.classes[0] as string, 3, 10)) });
    const split = { validation_split: 0.2, test_split: 0.2, seed: 1 };
    const more = { files: [{ path: 'more.zip', file }], name: 'more.zip', source: 'zip' as const };
    const request = { id: drawn.id, ...more, imgSize: 32, decoders: 2, split, members: null };
    const adding = endpoint.dispatch('addFiles', request);
    expect(await endpoint.dispatch('addFiles', request)).toMatchObject({ error: { name: 'ImportUnderWayError' } });
    const { dataset, ...counts } = await value(adding);
    expect(counts).toEqual({ added: 7, duplicates: 0, doubled: 0, newClasses: ['New'] });
    expect(events.at(-1)).toMatchObject({ type: 'importProgress', stage: 'storing', done: 30, total: 30 });
    expect(dataset).toMatchObject({ synthetic: true, source: 'zip', additions: ['more'] });
    expect((await value(endpoint.dispatch('list', null))).map(({ id }) => id).sort()).toEqual(
      [dataset.id, drawn.id].sort(),
    );
    expect(await endpoint.dispatch('addFiles', { ...request, id: dataset.id })).toMatchObject({
      ok: false,
      error: { name: 'NothingNewError' },
    });
    expect(await endpoint.dispatch('addFiles', { ...request, id: 'gone' })).toMatchObject({
      error: { name: 'NoSuchDatasetError' },
    });

    const zip = await value(endpoint.dispatch('datasetZip', { id: dataset.id }));
    const files = [{ path: 'all.zip', file: zip }];
    const back = await value(
      endpoint.dispatch('importFiles', { files, name: 'all.zip', source: 'zip', imgSize: 32, decoders: 2 }),
    );
    expect([back.hash, back.classes, back.images.length]).toEqual([dataset.hash, dataset.classes, 37]);
    expect(await endpoint.dispatch('datasetZip', { id: 'gone' })).toMatchObject({
      error: { name: 'NoSuchDatasetError' },
    });
  });

  it('cancels, and refuses two imports at once', async () => {
    const endpoint = worker();
    const file = await zipOf({ ...(await jpegs('Train/A', 20, 0)), ...(await jpegs('Train/B', 20, 100)) });
    const files = [{ path: 'set.zip', file }];
    const request = { files, name: 'set.zip', source: 'zip' as const, imgSize: 32, decoders: 2 };
    const first = endpoint.dispatch('importFiles', request);
    expect(await endpoint.dispatch('importFiles', request)).toMatchObject({ error: { name: 'ImportUnderWayError' } });
    await endpoint.dispatch('cancelImport', null);
    expect(await first).toMatchObject({ ok: false, error: { name: 'ImportCancelledError' } });
    expect(await value(endpoint.dispatch('list', null))).toEqual([]);
    expect(await endpoint.dispatch('importFiles', request)).toMatchObject({ ok: true });
  });
});
