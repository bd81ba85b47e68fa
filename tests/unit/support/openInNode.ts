import { openEngine } from '../../../src/engine/device.ts';
import type { DeviceSetting, Engine } from '../../../src/engine/types.ts';
import { nodeEngineEnvironment } from '../../../src/platform/node/engineEnvironment.ts';

/** An engine in Node; WebGPU is looked for only where it is asked for. */
export async function openInNode(setting: DeviceSetting): Promise<Engine> {
  const gpu = setting === 'auto' || setting === 'cuda' || setting === 'webgpu';
  return openEngine(setting, await nodeEngineEnvironment({ gpu }));
}
