import * as tf from '@tensorflow/tfjs';
import type { Weights } from '../../graph/types.ts';
import { dataOf, downloaded, replaced, type DeviceParameters } from './parameters.ts';

/** Gives the trained parameters the zeros that an optimiser starts from. */
export function startState(parameters: DeviceParameters, slots: readonly string[]): void {
  for (const p of parameters.all.values()) {
    if (p.state) p.state = slots.map(() => tf.zeros([...p.layout.engineShape]));
  }
}

/** What the optimiser keeps of the trained parameters, as `${parameter}.${slot}`. */
export async function readState(parameters: DeviceParameters, slots: readonly string[]): Promise<Weights> {
  const entries = [...parameters.all.values()].flatMap((p) =>
    (p.state ?? []).map(async (tensor, i) => [`${p.spec.name}.${slots[i]!}`, await downloaded(p, tensor)] as const),
  );
  return new Map(await Promise.all(entries));
}

/** @throws Error where something of a trained parameter is missing or has another shape. */
export function writeState(parameters: DeviceParameters, slots: readonly string[], state: Weights): void {
  for (const p of parameters.all.values()) {
    if (p.state) {
      p.state = p.state.map((old, i) => replaced(old, p, dataOf(state, `${p.spec.name}.${slots[i]!}`, p.spec)));
    }
  }
}
