import { datasetStore } from '../platform/browser/datasetStore.ts';
import { importLock } from '../platform/browser/importLock.ts';
import type { DatasetPart } from './datasetPart.ts';
import { createEndpoint } from './endpoint.ts';
import { lateHandlers } from './lateHandlers.ts';
import { exposeWithLifeline } from './lifeline.ts';
import type { DatasetCommands, DatasetEvent } from './protocol.ts';

const store = datasetStore();
const lock = importLock();
const fetchPart = async (): Promise<DatasetPart> => {
  const { datasetPart } = await import('./datasetPart.ts');
  return datasetPart(store, lock, (event) => emit(event));
};
// The page can be used as soon as it has the list; the rest of this worker is fetched meanwhile.
const { endpoint, emit } = createEndpoint<DatasetCommands, DatasetEvent>({
  list: () => store.list(),
  ...lateHandlers(fetchPart, {
    importFiles: true,
    importSample: true,
    addFiles: true,
    cancelImport: true,
    delete: true,
    features: true,
    deleteFeatures: true,
    thumbnails: true,
    previewAugmentation: true,
    original: true,
    datasetZip: true,
    sampleZip: true,
    findSample: true,
    lookAtLink: true,
    download: true,
    cancelDownload: true,
    holdsModel: true,
    storedByNewer: true,
  }),
});
exposeWithLifeline(endpoint);
import('./datasetPart.ts').catch(() => undefined);

const HOUR = 3_600_000;
// What a closed tab left half-done; a failure here (no storage at all) shows itself at the first command.
lock
  .whileNobodyImports(() => store.sweep(lock.knowsOtherTabs ? 0 : HOUR))
  .catch((error: unknown) => {
    emit({ type: 'log', message: `Left-over files could not be removed: ${String(error)}` });
  });
