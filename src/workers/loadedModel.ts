import type { DeviceSetting, Engine, Network } from '../engine/types.ts';
import { readCheckpoint } from '../training/checkpoint.ts';
import { NoCheckpointError } from '../training/errors.ts';
import type { Checkpoint, RunStore } from '../training/types.ts';
import { networkOf } from './judge.ts';

export interface LoadedModel {
  readonly runId: string;
  readonly epoch: number;
  readonly checkpoint: Checkpoint;
  readonly network: Network;
  readonly engine: Engine;
}

/** The model worker's engine, and the one model that is on it. */
export interface LoadedModels {
  /** Works take turns: there is one engine, and a model must not be replaced under an evaluation. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** Throws `NoCheckpointError`. */
  bestOf(runId: string): Promise<Checkpoint>;
  /** The best checkpoint of a run on the engine, in the place of what was there. Within `inTurn`. */
  load(runId: string): Promise<LoadedModel>;
}

export function loadedModels(platform: {
  readonly runs: RunStore;
  openEngine(setting: DeviceSetting): Promise<Engine>;
}): LoadedModels {
  const { runs } = platform;
  let loaded: LoadedModel | null = null;
  let queue: Promise<unknown> = Promise.resolve();

  const bestOf = async (runId: string): Promise<Checkpoint> => {
    const bytes = await runs.readCheckpoint(runId, 'best');
    if (bytes === undefined) throw new NoCheckpointError();
    return readCheckpoint(bytes);
  };

  return {
    inTurn: (work) => {
      const result = queue.then(work);
      queue = result.catch(() => undefined);
      return result;
    },
    bestOf,
    load: async (runId) => {
      const epoch = (await runs.read(runId))?.bestEpoch ?? null;
      if (loaded !== null && loaded.runId === runId && loaded.epoch === epoch) return loaded;
      const checkpoint = await bestOf(runId);
      const before = loaded;
      loaded = null;
      before?.network.dispose();
      await before?.engine.dispose();
      const engine = await platform.openEngine(checkpoint.config.training.device);
      const network = await networkOf(checkpoint, engine);
      const made: LoadedModel = { runId, epoch: checkpoint.epoch, checkpoint, network, engine };
      // A device that is lost while nothing is asked of it must not answer the next question.
      void engine.lost.then(() => {
        if (loaded === made) loaded = null;
      });
      loaded = made;
      return made;
    },
  };
}
