import type { OtherRuntime } from '../reference/engine.ts';
import type { AdapterReport } from '../types.ts';
import { createPipelines } from './device/pipelines.ts';
import { compiledBytes } from './fit.ts';
import type { DeviceTraits } from './kernels.ts';
import { createCompiledNetwork } from './network.ts';
import { isSupported } from './plan/compile.ts';
import { wgslKernels } from './wgsl/kernels.ts';

/** Builds networks on this device; pipelines are made once for all of them. */
export function compiledNetworks(device: GPUDevice, report: Pick<AdapterReport, 'software'>): OtherRuntime {
  const pipelines = createPipelines(device);
  const kernels = wgslKernels(traitsOf(device, report.software));
  const { software } = report;
  return {
    build(host, graph, weights, options) {
      // tfjs's ops would do, but for the gradient of its maximum pool on WebGPU, which is wrong.
      if (!isSupported(graph)) throw new Error(`${graph.architecture} has a layer that there is no kernel for.`);
      return createCompiledNetwork({ ...host, device, pipelines, kernels, software }, graph, weights, options);
    },
    stepBytes: (graph, step) => compiledBytes(graph, kernels, step),
    onPreparing: (tell) => pipelines.onProgress(tell),
  };
}

/** What kernels may know of a device. */
export function traitsOf({ features, adapterInfo }: GPUDevice, software: boolean): DeviceTraits {
  return {
    software,
    subgroups: features.has('subgroups') && (adapterInfo.subgroupMinSize ?? 0) >= 8,
  };
}
