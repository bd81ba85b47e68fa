import { checkedDecoder } from '../dataset/decoding.ts';
import { imageSource } from '../dataset/imageSource.ts';
import { openEngine } from '../engine/device.ts';
import { datasetStore } from '../platform/browser/datasetStore.ts';
import { browserEngineEnvironment } from '../platform/browser/engineEnvironment.ts';
import { imageDecoder } from '../platform/browser/imageDecoder.ts';
import { runStore } from '../platform/browser/runStore.ts';
import { weightStore } from '../platform/browser/weightStore.ts';
import { createEndpoint } from './endpoint.ts';
import { exposeWithLifeline } from './lifeline.ts';
import { weightsCommands } from './firstWeights.ts';
import { modelCommands } from './modelCommands.ts';
import type { ModelCommands, ModelEvent } from './protocol.ts';
import { versionCommands } from './versionCommands.ts';

/** Uncropped pixels kept in memory. */
const CACHE_BYTES = 64 * 2 ** 20;

const datasets = datasetStore();
const environment = browserEngineEnvironment();

const { endpoint, emit } = createEndpoint<ModelCommands, ModelEvent>(
  modelCommands(
    {
      datasets,
      runs: runStore(),
      decoder: checkedDecoder(imageDecoder()),
      sourceOf: (dataset) => imageSource(datasets, dataset, { cacheBytes: CACHE_BYTES }),
      openEngine: (setting) => openEngine(setting, environment),
      ...weightsCommands(weightStore()),
      ...versionCommands(),
    },
    (event) => emit(event),
  ),
);
exposeWithLifeline(endpoint);
