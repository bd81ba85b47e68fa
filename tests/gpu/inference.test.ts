import { describeAdapter } from '../../src/engine/adapter.ts';
import { inferenceOn } from '../../src/engine/inference.ts';
import { openWebGpu } from '../../src/engine/reference/webgpuBackend.ts';
import { nodeEngineEnvironment } from '../../src/platform/node/engineEnvironment.ts';
import { logitsSuite } from '../unit/support/engineSuites.ts';

/** tfjs's own kernels. `openInference` would leave a software adapter alone; here it stands for a real one. */
async function open() {
  const { gpu } = await nodeEngineEnvironment({ gpu: true });
  const adapter = await gpu?.requestAdapter();
  if (!adapter) throw new Error('There is no WebGPU adapter.');
  return inferenceOn(describeAdapter(adapter, null), await openWebGpu(adapter));
}

logitsSuite(
  open,
  { quantity: 'logits, by tfjs’s own kernels', on: 'webgpu', command: 'npm test -- gpu/inference' },
  (title) => title.includes('45 classes, 64 px'),
);
