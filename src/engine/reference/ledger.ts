import type { Tensor } from '@tensorflow/tfjs';

/**
 * Counts who still needs a tensor, and frees it when nobody does. A pass over a graph holds an activation once for each consumer
 * and once for each backward step that reads it; so memory falls while the backward pass runs, not after it.
 */
export interface Ledger {
  hold(tensor: Tensor, times?: number): void;
  release(tensor: Tensor): void;
  /** Frees whatever is still held: the way out after a failure. */
  disposeAll(): void;
}

export function createLedger(): Ledger {
  const held = new Map<number, { tensor: Tensor; count: number }>();
  return {
    hold(tensor, times = 1) {
      const entry = held.get(tensor.id);
      if (entry) entry.count += times;
      else if (times > 0) held.set(tensor.id, { tensor, count: times });
    },
    release(tensor) {
      const entry = held.get(tensor.id);
      if (!entry)
        throw new Error(`Tensor ${tensor.id} [${tensor.shape.join()}] is released more often than it is held.`);
      entry.count--;
      if (entry.count > 0) return;
      held.delete(tensor.id);
      tensor.dispose();
    },
    disposeAll() {
      for (const { tensor } of held.values()) if (!tensor.isDisposed) tensor.dispose();
      held.clear();
    },
  };
}
