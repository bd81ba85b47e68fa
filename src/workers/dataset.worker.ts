import { checkedDecoder } from '../dataset/decoding.ts';
import { datasetStore } from '../platform/browser/datasetStore.ts';
import { imageDecoder } from '../platform/browser/imageDecoder.ts';
import { idbFolder } from '../platform/browser/idbFolder.ts';
import { importLock } from '../platform/browser/importLock.ts';
import { room } from '../platform/browser/room.ts';
import { runStore } from '../platform/browser/runStore.ts';
import { weightStore } from '../platform/browser/weightStore.ts';
import { versionRegistry } from '../registry/registry.ts';
import { datasetCommands } from './datasetCommands.ts';
import { downloadCommands } from './downloadCommands.ts';
import { createEndpoint } from './endpoint.ts';
import { holdsModel } from './holdsModel.ts';
import { exposeWithLifeline } from './lifeline.ts';
import { pageAddress } from './pageAddress.ts';
import type { DatasetCommands, DatasetEvent } from './protocol.ts';
import { storedByNewer } from './storedByNewer.ts';

const store = datasetStore();
const lock = importLock();
const { endpoint, emit } = createEndpoint<DatasetCommands, DatasetEvent>({
  ...datasetCommands({ store, decoder: checkedDecoder(imageDecoder()), importing: lock.importing }, (event) =>
    emit(event),
  ),
  ...downloadCommands(
    { fetch: (...request) => fetch(...request), page: pageAddress(), room, now: () => performance.now() },
    (event) => emit(event),
  ),
  holdsModel,
  storedByNewer: () =>
    storedByNewer({
      datasets: store,
      runs: runStore(),
      weights: weightStore(),
      versions: versionRegistry(idbFolder()),
    }),
});
exposeWithLifeline(endpoint);

const HOUR = 3_600_000;
// What a closed tab left half-done; a failure here (no storage at all) shows itself at the first command.
lock
  .whileNobodyImports(() => store.sweep(lock.knowsOtherTabs ? 0 : HOUR))
  .catch((error: unknown) => {
    emit({ type: 'log', message: `Left-over files could not be removed: ${String(error)}` });
  });
