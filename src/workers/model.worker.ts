import { checkedDecoder } from '../dataset/decoding.ts';
import { openEngine } from '../engine/device.ts';
import type { DemoFolder } from '../export/demo/demoPage.ts';
import { datasetStore } from '../platform/browser/datasetStore.ts';
import { browserEngineEnvironment } from '../platform/browser/engineEnvironment.ts';
import { idbFolder } from '../platform/browser/idbFolder.ts';
import { imageDecoder } from '../platform/browser/imageDecoder.ts';
import { pickedFolder } from '../platform/browser/pickedFolder.ts';
import { runStore } from '../platform/browser/runStore.ts';
import { speedStore } from '../platform/browser/speedStore.ts';
import { weightStore } from '../platform/browser/weightStore.ts';
import { bundleCommands } from './bundleCommands.ts';
import { cancellableWorks } from './cancelling.ts';
import { certifyingCommands } from './certifyingCommands.ts';
import { demoCommands } from './demoCommands.ts';
import { createEndpoint } from './endpoint.ts';
import { exposeWithLifeline } from './lifeline.ts';
import { weightsCommands } from './firstWeights.ts';
import { loadedModels } from './loadedModel.ts';
import { modelCommands } from './modelCommands.ts';
import { pageAddress } from './pageAddress.ts';
import type { ModelCommands, ModelEvent } from './protocol.ts';
import { versionCommands } from './versionCommands.ts';

const datasets = datasetStore();
const runs = runStore();
const weights = weightsCommands(weightStore());
/** The trainer measures; beside it nobody is to. */
const environment = { ...browserEngineEnvironment(), speeds: { ...speedStore(), write: null } };

const { importWeights } = weights;

const decoder = checkedDecoder(imageDecoder());
const tell = (event: ModelEvent): void => emit(event);
const models = loadedModels({ runs, openEngine: (setting) => openEngine(setting, environment) });
const works = cancellableWorks();
const { certify, certifyPackage, certifyRun } = certifyingCommands(models, { datasets, decoder }, tell, works);
const ofEngine = modelCommands({ datasets, runs, decoder, importWeights, works }, models, tell);
const { openCheckpoint } = ofEngine;
const demoFolder: DemoFolder = {
  read: async (path) => {
    const response = await fetch(new URL(`demo/${path}`, pageAddress()));
    if (!response.ok) throw new Error(`the server answers ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  },
  remedy: 'Load this page again with a network. Whoever hosts it: npm run build makes the demo page too.',
};
const { endpoint, emit } = createEndpoint<ModelCommands, ModelEvent>({
  ...ofEngine,
  certify,
  cancel: works.cancel,
  ...bundleCommands(runs, models, certifyRun, works),
  ...weights,
  ...versionCommands({
    models: idbFolder(),
    runs,
    pickedFolder,
    importWeights,
    certify: certifyPackage,
    works,
    emit: tell,
    now: () => Date.now(),
  }),
  ...demoCommands({ runs, demoFolder, openCheckpoint }),
});
exposeWithLifeline(endpoint);
