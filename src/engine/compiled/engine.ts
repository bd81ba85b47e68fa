import type { OtherRuntime } from '../reference/engine.ts';
import type { AdapterReport, Cuts, CutStore } from '../types.ts';
import { createPipelines } from './device/pipelines.ts';
import { compiledBytes } from './fit.ts';
import type { DeviceTraits, KernelTable } from './kernels.ts';
import { createCompiledNetwork } from './network.ts';
import { isSupported } from './plan/compile.ts';
import { tunedTiling } from './tuning/cuts.ts';
import { cutsFor, cutsInMemory, deviceKey } from './tuning/stored.ts';
import { tilingOf } from './wgsl/gemmTiles.ts';
import { wgslKernels } from './wgsl/kernels.ts';

/** Of all engines of this process: a lost device comes back with what it knew. */
const inMemory = cutsInMemory();

/** Builds networks on this device; pipelines are made once for all of them. `cuts`: keeps what was measured. */
export function compiledNetworks(
  device: GPUDevice,
  report: Pick<AdapterReport, 'software'>,
  cuts: CutStore = inMemory,
): OtherRuntime {
  const pipelines = createPipelines(device);
  const { software } = report;
  const traits = traitsOf(device, software);
  const usual = wgslKernels(traits);
  const own = deviceKey(device);
  // What is quick on another device may be slow here.
  const kernelsBy = (given: Cuts | null | undefined): KernelTable =>
    given?.device === own ? wgslKernels(traits, tunedTiling(tilingOf(traits), given.chosen, traits)) : usual;
  return {
    build(host, graph, weights, options) {
      // tfjs's ops would do, but for the gradient of its maximum pool on WebGPU, which is wrong.
      if (!isSupported(graph)) throw new Error(`${graph.architecture} has a layer that there is no kernel for.`);
      if (options.precision === 'float16' && !device.features.has('shader-f16'))
        throw new Error('The device has no float16.');
      const kernels = kernelsBy(options.cuts);
      return createCompiledNetwork({ ...host, device, pipelines, kernels, software }, graph, weights, options);
    },
    stepBytes: (graph, step) => compiledBytes(graph, kernelsBy(step.cuts), step),
    tune: async (host, graph, step, options) =>
      // What plays a GPU has its default, and takes minutes to compile another.
      software || !isSupported(graph)
        ? null
        : host.guard(() => cutsFor(device, pipelines, traits, graph, step, { ...options, store: cuts })),
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
