import * as tf from '@tensorflow/tfjs';
import { describeAdapter, requestAdapter } from '../../../src/engine/adapter.ts';
import { openWebGpu } from '../../../src/engine/reference/webgpuBackend.ts';
import type { AdapterReport } from '../../../src/engine/types.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';

/** tfjs's own device, for kernels by themselves; an error that nobody catches ends the process. */
export async function openDevice(): Promise<{ readonly device: GPUDevice; readonly report: AdapterReport }> {
  const adapter = await requestAdapter(await nodeEngineEnvironment({ gpu: true }));
  if (!adapter) throw new Error('No WebGPU adapter.');
  const report = describeAdapter(adapter, null);
  await openWebGpu(adapter);
  const { device } = tf.backend() as unknown as { device: GPUDevice };
  device.addEventListener('uncapturederror', (event) => {
    console.error((event as GPUUncapturedErrorEvent).error.message);
    process.exit(1);
  });
  return { device, report };
}
