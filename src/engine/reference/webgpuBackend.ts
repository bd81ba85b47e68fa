import * as tf from '@tensorflow/tfjs';
import { limitsOf } from '../adapter.ts';
import type { OpenBackend } from './host.ts';

/** Features that kernels may use where the adapter has them. */
const wanted = ['shader-f16', 'subgroups', 'timestamp-query'] as const;

/** A device with all the limits that the adapter has (tfjs asks for six of them), handed over to tfjs's backend. */
export async function openWebGpu(adapter: GPUAdapter): Promise<OpenBackend> {
  const { WebGPUBackend } = await import('@tensorflow/tfjs-backend-webgpu');
  const device = await adapter.requestDevice({
    requiredLimits: limitsOf(adapter.limits),
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)) as GPUFeatureName[],
  });
  // The browser's import has registered tfjs's own, which asks for fewer limits; or there is one whose device was lost.
  if (tf.findBackendFactory('webgpu')) tf.removeBackend('webgpu');
  // tfjs pins an older @webgpu/types of its own.
  const backend = new WebGPUBackend(device as never, adapter.info as never);
  tf.registerBackend('webgpu', () => backend, 3);
  if (!(await tf.setBackend('webgpu'))) throw new Error('tfjs could not start its WebGPU backend.');
  return { name: 'webgpu', device };
}
