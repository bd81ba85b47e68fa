import { checkedDecoder } from '../dataset/decoding.ts';
import { datasetStore } from '../platform/browser/datasetStore.ts';
import { imageDecoder } from '../platform/browser/imageDecoder.ts';
import { importLock } from '../platform/browser/importLock.ts';
import { datasetCommands } from './datasetCommands.ts';
import { createEndpoint } from './endpoint.ts';
import { exposeWithLifeline } from './lifeline.ts';
import type { DatasetCommands, DatasetEvent } from './protocol.ts';

const store = datasetStore();
const lock = importLock();
const { endpoint, emit } = createEndpoint<DatasetCommands, DatasetEvent>(
  datasetCommands({ store, decoder: checkedDecoder(imageDecoder()), importing: lock.importing }, (event) =>
    emit(event),
  ),
);
exposeWithLifeline(endpoint);

const HOUR = 3_600_000;
// What a closed tab left half-done; a failure here (no storage at all) shows itself at the first command.
lock
  .whileNobodyImports(() => store.sweep(lock.knowsOtherTabs ? 0 : HOUR))
  .catch((error: unknown) => {
    emit({ type: 'log', message: `Left-over files could not be removed: ${String(error)}` });
  });
