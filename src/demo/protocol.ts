import type { ErrorReport } from '../errors.ts';
import type { Prediction } from '../evaluation/types.ts';
import type { ModelDescription } from '../export/demo/modelDescription.ts';

/** All that the page and its worker share. */
export interface DemoWorker {
  /** `folder`: of the page. */
  describe(folder: string): Promise<Outcome<ModelDescription>>;
  /** Fetches the weights and opens a device; again after a failure, whatever it lacks. `onBytes` is told how many have arrived. */
  load(onBytes: (done: number) => void): Promise<Outcome<Loaded>>;
  /** The model must be loaded. */
  predict(file: Blob): Promise<Outcome<Prediction>>;
}

export interface Loaded {
  /** What computes, as the user is shown it. */
  readonly device: string;
  /** The model is kept in this browser. */
  readonly kept: boolean;
}

export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ErrorReport };
