import { checkedDecoder } from '../dataset/decoding.ts';
import type { BrowserDatasetStore } from '../platform/browser/datasetStore.ts';
import { featureStore } from '../platform/browser/featureStore.ts';
import { idbFolder } from '../platform/browser/idbFolder.ts';
import { imageDecoder } from '../platform/browser/imageDecoder.ts';
import type { ImportLock } from '../platform/browser/importLock.ts';
import { room } from '../platform/browser/room.ts';
import { runStore } from '../platform/browser/runStore.ts';
import { weightStore } from '../platform/browser/weightStore.ts';
import { versionRegistry } from '../registry/registry.ts';
import { membersOfImported } from '../weights/imported.ts';
import { augmentationCommands } from './augmentationCommands.ts';
import { datasetCommands } from './datasetCommands.ts';
import { downloadCommands } from './downloadCommands.ts';
import type { Handlers } from './endpoint.ts';
import { holdsModel } from './holdsModel.ts';
import { pageAddress } from './pageAddress.ts';
import type { DatasetCommands, DatasetEvent } from './protocol.ts';
import { storedByNewer } from './storedByNewer.ts';

export type DatasetPart = Omit<Handlers<DatasetCommands>, 'list'>;

/** All of the dataset worker but its list: whoever reads zips, draws the sample and decodes images is most of its code. */
export function datasetPart(
  store: BrowserDatasetStore,
  { importing }: ImportLock,
  emit: (event: DatasetEvent) => void,
): DatasetPart {
  const decoder = checkedDecoder(imageDecoder());
  const stores = { datasets: store, runs: runStore(), weights: weightStore(), versions: versionRegistry(idbFolder()) };
  return {
    ...datasetCommands({ store, decoder, importing, features: featureStore() }, emit),
    ...augmentationCommands({ store, decoder, membersOf: (id) => membersOfImported(id, stores.weights) }),
    ...downloadCommands(
      { fetch: (...request) => fetch(...request), page: pageAddress(), room, now: () => performance.now() },
      emit,
    ),
    holdsModel,
    storedByNewer: () => storedByNewer(stores),
  };
}
