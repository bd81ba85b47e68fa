import * as tf from '@tensorflow/tfjs';
import { DeviceLostError, GpuError } from '../errors.ts';
import type { AdapterReport, Engine, Network } from '../types.ts';
import type { InPlace } from './adam.ts';
import { createNetwork, type Host } from './network.ts';

/** A tfjs backend that has been started. */
export interface OpenDevice {
  /** Its name in tfjs's registry. */
  readonly name: string;
  readonly inPlace: InPlace | null;
  /** The WebGPU device under it; null elsewhere. */
  readonly device: GPUDevice | null;
}

/**
 * An engine on an open device. WebGPU fails in two ways that tfjs doesn't notice, and both are fatal here: an uncaptured error (the
 * dispatch yields zeros, nothing throws) and a lost device (promises that never settle).
 */
export function createEngine(adapter: AdapterReport, { name, inPlace, device }: OpenDevice): Engine {
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
  const host: Host = {
    inPlace,
    enter() {
      if (failure) throw failure;
      if (tf.getBackend() !== name) void tf.setBackend(name);
    },
    observe() {
      peakBytes = Math.max(peakBytes, tf.memory().numBytes);
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
  };

  const networks: Network[] = [];
  return {
    adapter,
    lost,
    build: (graph, weights, options) =>
      host.guard(async () => {
        const network = createNetwork(host, graph, weights, options);
        networks.push(network);
        return network;
      }),
    memory() {
      const { numBytes, numTensors } = tf.memory();
      peakBytes = Math.max(peakBytes, numBytes);
      return { bytes: numBytes, peakBytes, tensors: numTensors };
    },
    async dispose() {
      for (const network of networks) network.dispose();
      fail(new DeviceLostError('the engine was closed'));
      tellLost('closed');
      // wasm, webgl and cpu stay for the next engine: their memory is the networks', which is given back.
      if (!device) return;
      if (tf.findBackend(name)) tf.removeBackend(name);
      device.destroy();
    },
  };
}
