import { checkedDecoder } from '../dataset/decoding.ts';
import { imageSource } from '../dataset/imageSource.ts';
import { openEngine, probe } from '../engine/device.ts';
import { datasetStore } from '../platform/browser/datasetStore.ts';
import { browserEngineEnvironment } from '../platform/browser/engineEnvironment.ts';
import { featureStore } from '../platform/browser/featureStore.ts';
import { imageDecoder } from '../platform/browser/imageDecoder.ts';
import { isHeld, TRAINER_LOCK, whileHolding } from '../platform/browser/locks.ts';
import { runStore } from '../platform/browser/runStore.ts';
import { cutStore, speedStore } from '../platform/browser/speedStore.ts';
import { weightStore } from '../platform/browser/weightStore.ts';
import { membersOfImported } from '../weights/imported.ts';
import { createEndpoint } from './endpoint.ts';
import { exposeWithLifeline } from './lifeline.ts';
import { firstWeights } from './firstWeights.ts';
import { pageAddress } from './pageAddress.ts';
import type { TrainerCommands, TrainerEvent } from './protocol.ts';
import { trainerCommands } from './trainerCommands.ts';

/** Uncropped pixels kept in memory between epochs: 2,700 images of 257 × 257 pixels. */
const CACHE_BYTES = 512 * 2 ** 20;

const datasets = datasetStore();
const environment = { ...browserEngineEnvironment(), speeds: speedStore(), cuts: cutStore() };
const weights = {
  cache: weightStore(),
  base: pageAddress(),
  fetch: fetch.bind(globalThis),
  now: Date.now,
  parts: new Map(),
};

const { endpoint, emit } = createEndpoint<TrainerCommands, TrainerEvent>(
  trainerCommands(
    {
      datasets,
      runs: runStore(),
      features: featureStore(),
      decoder: checkedDecoder(imageDecoder()),
      sourceOf: (dataset) => imageSource(datasets, dataset, { cacheBytes: CACHE_BYTES }),
      openEngine: (setting, began) => openEngine(setting, environment, { began: began ?? null }),
      probe: (setting, anew) => probe(setting, environment, { anew }),
      firstWeights: (wanted, progress, signal) => firstWeights(wanted, weights, progress, signal),
      membersOf: (weightsId) => membersOfImported(weightsId, weights.cache),
      exclusively: (work) => whileHolding(TRAINER_LOCK, work),
      isTraining: () => isHeld(TRAINER_LOCK),
      randomBytes: (n) => crypto.getRandomValues(new Uint8Array(n)),
    },
    (event) => emit(event),
  ),
);
exposeWithLifeline(endpoint);
