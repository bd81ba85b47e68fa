import * as Comlink from 'comlink';
import { reportOf } from '../errors.ts';
import type { Answering } from './answering.ts';
import { modelFiles, type ModelFiles } from './modelFiles.ts';
import type { DemoWorker, Outcome } from './protocol.ts';

/** The tensor library comes while the weights do: what the model is can be read before. */
const library = () => import('./answering.ts');

let files: ModelFiles | null = null;
let describing: ReturnType<ModelFiles['description']> | null = null;
let model: Answering | null = null;

const worker: DemoWorker = {
  describe: (folder) =>
    outcomeOf(() => {
      files = modelFiles(folder, (globalThis as { caches?: CacheStorage }).caches);
      return (describing = files.description());
    }),
  load: (onBytes) =>
    outcomeOf(async () => {
      const from = files;
      if (from === null || describing === null) throw new Error('The description comes first.');
      const description = await describing;
      if (model === null) {
        const [{ answering, inBrowser }, weights] = await Promise.all([library(), from.weights(onBytes)]);
        model = answering(description, weights, inBrowser());
      }
      return { device: await model.device(), kept: from.kept() };
    }),
  predict: (file) =>
    outcomeOf(async () => {
      if (model === null) throw new Error('The model comes first.');
      return model.answer(file);
    }),
};

async function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, error: reportOf(error) };
  }
}

Comlink.expose(worker);
