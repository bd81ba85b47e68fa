import * as Comlink from 'comlink';
import { reportOf, type ErrorReport } from '../errors.ts';
import type { Prediction } from '../evaluation/types.ts';
import type { ModelDescription } from '../export/demo/modelDescription.ts';
import { NoImageError, WorkerEndedError } from './errors.ts';
import type { DemoWorker, Loaded, Outcome } from './protocol.ts';

let description = $state.raw<ModelDescription | null>(null);
let loaded = $state.raw<Loaded | null>(null);
let arrived = $state(0);
let problem = $state.raw<ErrorReport | null>(null);
/** What is being looked at. */
let looking = $state<string | null>(null);
let tried = $state.raw<{ readonly prediction: Prediction; readonly name: string } | null>(null);
/** Under way, or done. */
let loading: Promise<void> | null = null;
let worker: Comlink.Remote<DemoWorker> | null = null;
let ended: Promise<Outcome<never>> = new Promise(() => undefined);

/** What the page knows: the model, how far it is loaded, the last answer, the last failure. */
export const demo = {
  /** Null until it is read. */
  get description(): ModelDescription | null {
    return description;
  },
  /** Null until the model can answer. */
  get loaded(): Loaded | null {
    return loaded;
  },
  /** Bytes of the weights. */
  get arrived(): number {
    return arrived;
  },
  get problem(): ErrorReport | null {
    return problem;
  },
  get looking(): string | null {
    return looking;
  },
  get tried(): { readonly prediction: Prediction; readonly name: string } | null {
    return tried;
  },

  /** Called once. */
  async open(folder: string): Promise<void> {
    const thread = new Worker(new URL('./demo.worker.ts', import.meta.url), { type: 'module' });
    ended = new Promise((resolve) =>
      thread.addEventListener('error', ({ message }) =>
        resolve({ ok: false, error: reportOf(new WorkerEndedError(message || 'it could not be loaded.')) }),
      ),
    );
    worker = Comlink.wrap<DemoWorker>(thread);
    const described = await ask((remote) => remote.describe(folder));
    if (!described) return;
    description = described;
    document.title = `${described.name} · image classifier`;
    await load();
  },
  async look(file: Blob, name: string): Promise<void> {
    problem = null;
    looking = name;
    await load();
    const prediction = loaded ? await ask((remote) => remote.predict(file)) : undefined;
    looking = null;
    if (prediction) tried = { prediction, name };
  },
  /** Of a drop, or of what was pasted. */
  async lookAtFirst(files: FileList | undefined): Promise<void> {
    const [file] = [...(files ?? [])];
    if (file) await demo.look(file, file.name);
    else problem = reportOf(new NoImageError());
  },
};

/** Where it failed, the next image tries again. */
function load(): Promise<void> {
  const onBytes = Comlink.proxy((done: number) => void (arrived = done));
  return (loading ??= ask((remote) => remote.load(onBytes)).then((answer) => {
    loaded = answer ?? null;
    if (!answer) loading = null;
  }));
}

async function ask<T>(question: (remote: DemoWorker) => Promise<Outcome<T>>): Promise<T | undefined> {
  if (worker === null) return undefined;
  // Comlink's types make promises of what are promises already.
  const outcome = await Promise.race([question(worker as unknown as DemoWorker), ended]);
  if (outcome.ok) return outcome.value;
  problem = outcome.error;
  return undefined;
}
