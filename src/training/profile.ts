import { summed } from '../engine/profile.ts';
import type { Network, StepProfile } from '../engine/types.ts';
import type { Emit } from './emit.ts';
import type { StepTimes } from './events.ts';

/** Pipelines are made and submits are cut to size by then. */
const PROFILED_STEP = 3;

const LAYERS = 30;

/** A training step that times its third; where the network can't, it says so at once. */
export function profilingStep(network: Pick<Network, 'trainStep' | 'profile'>, emit: Emit): Network['trainStep'] {
  let step = 0;
  return async (parts, learningRate) => {
    step += 1;
    if (network.profile === undefined) {
      if (step === 1) emit({ type: 'stepProfiled', step, times: null });
    } else if (step === PROFILED_STEP) {
      const profile = await network.profile(parts, learningRate);
      emit({ type: 'stepProfiled', step, times: timesOf(profile) });
      return profile;
    }
    return network.trainStep(parts, learningRate);
  };
}

export function timesOf({ rows, milliseconds }: StepProfile): StepTimes {
  return {
    milliseconds,
    kernels: summed(rows, ({ kind }) => kind),
    layers: summed(rows, ({ node }) => node).slice(0, LAYERS),
  };
}
