import * as tf from '@tensorflow/tfjs';
import { DeviceLostError, GpuError } from '../errors.ts';
import type { EngineMemory } from '../types.ts';

/** A tfjs backend that has been started. */
export interface OpenBackend {
  /** Its name in tfjs's registry. */
  readonly name: string;
  /** The WebGPU device under it; null elsewhere. */
  readonly device: GPUDevice | null;
}

/** What a network needs of the engine that it lives on. */
export interface Host {
  /** Makes the engine's backend the current one. Called before every stretch of synchronous work. */
  enter(): void;
  /** Called where memory is high: keeps the peak. */
  observe(): void;
  /** Runs `work`; rejects with DeviceLostError or GpuError where the device fails meanwhile. */
  guard<T>(work: () => Promise<T>): Promise<T>;
  /** Says how many bytes outside of tfjs's tensors `owner` holds now. */
  holds(owner: object, bytes: number): void;
  /** Resolves when all that was handed to the device is done. */
  settled(): Promise<void>;
}

/** The host with what its owner needs. */
export interface OpenHost extends Host {
  /** Resolves with a reason once the device is gone; never rejects. */
  readonly lost: Promise<string>;
  memory(): EngineMemory;
  /** The networks on it must be disposed of before. */
  close(): Promise<void>;
}

/**
 * Watches over an open backend. WebGPU fails in two ways that tfjs doesn't notice, and both are fatal here: an uncaptured error (the
 * dispatch yields zeros, nothing throws) and a lost device (promises that never settle).
 */
export function createHost({ name, device }: OpenBackend): OpenHost {
  let failure: Error | null = null;
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = (error) => {
      failure ??= error;
      reject(failure);
    };
  });
  // Nobody may be waiting when it happens.
  failed.catch(() => {});

  let tellLost: (reason: string) => void = () => {};
  const lost = new Promise<string>((resolve) => (tellLost = resolve));
  void device?.lost.then(({ message, reason }) => {
    const detail = message || reason || 'no reason given';
    fail(new DeviceLostError(detail));
    tellLost(detail);
  });
  device?.addEventListener('uncapturederror', (event) => {
    event.preventDefault();
    fail(new GpuError((event as GPUUncapturedErrorEvent).error.message));
  });

  let peakBytes = 0;
  const heldBy = new Map<object, number>();
  const bytesNow = (): number => [...heldBy.values()].reduce((sum, bytes) => sum + bytes, tf.memory().numBytes);
  return {
    lost,
    enter() {
      if (failure) throw failure;
      if (tf.getBackend() !== name) void tf.setBackend(name);
    },
    observe() {
      peakBytes = Math.max(peakBytes, bytesNow());
    },
    holds(owner, bytes) {
      // What is given back may come after the backend is gone, of which tfjs must not be asked.
      if (bytes === 0) return void heldBy.delete(owner);
      heldBy.set(owner, bytes);
      peakBytes = Math.max(peakBytes, bytesNow());
    },
    async guard(work) {
      if (failure) throw failure;
      const working = work();
      working.catch(() => {});
      const result = await Promise.race([working, failed]);
      if (failure) throw failure;
      return result;
    },
    async settled() {
      // Also keeps the processor from running ahead of the device by whole steps.
      await device?.queue.onSubmittedWorkDone();
    },
    memory() {
      const bytes = bytesNow();
      peakBytes = Math.max(peakBytes, bytes);
      return { bytes, peakBytes, tensors: tf.memory().numTensors };
    },
    async close() {
      fail(new DeviceLostError('the engine was closed'));
      tellLost('closed');
      // wasm, webgl and cpu stay for the next engine: their memory is the networks', which is given back.
      if (!device) return;
      if (tf.findBackend(name)) tf.removeBackend(name);
      device.destroy();
    },
  };
}
