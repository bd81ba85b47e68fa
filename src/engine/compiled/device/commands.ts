import type { Call } from '../calls.ts';
import type { Dispatch, KernelTable, Kernel } from '../kernels.ts';
import type { Memory } from '../memory.ts';
import type { PlannedCall } from '../plan/types.ts';
import type { Pipelines } from './pipelines.ts';

/** Where a memory lies. */
export interface Place {
  readonly buffer: GPUBuffer;
  /** Bytes. */
  readonly offset: number;
  readonly size: number;
}

/** One dispatch, ready: nothing is made any more when it runs. */
export interface Command {
  readonly call: Call;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly columns: number;
  readonly rows: number;
  /** Share of the call's modelled cost, arbitrary unit. */
  readonly weight: number;
}

export interface Commands {
  readonly list: readonly Command[];
  /** GPU objects made for them: bind groups and the buffer of uniforms. */
  readonly objects: number;
  dispose(): void;
}

const UNIFORM_ALIGNMENT = 256;

/**
 * Pipelines, uniforms and bind groups of a list of calls. `progress` counts dispatches.
 * @throws Error that names the kernel whose shader the device refuses.
 */
export async function prepare(
  device: GPUDevice,
  pipelines: Pipelines,
  kernels: KernelTable,
  calls: readonly PlannedCall[],
  placeOf: (memory: Memory) => Place,
  progress: (done: number, total: number) => void = () => undefined,
): Promise<Commands> {
  const dispatches = calls.flatMap(({ call, scratch }) => {
    const kernel = kernels[call.kind] as Kernel<Call>;
    const { flops, bytes } = kernel.cost(call);
    const all = kernel.dispatches(call, scratch);
    // A modelled machine of 10 operations a byte: only shares count.
    const weight = (flops + 10 * bytes) / all.length;
    return all.map((dispatch) => ({ call, dispatch, weight }));
  });
  // All at once: the driver compiles on as many threads as it likes.
  for (const { dispatch } of dispatches) void pipelines.get(dispatch.program);

  const alignment = Math.max(UNIFORM_ALIGNMENT, device.limits.minUniformBufferOffsetAlignment);
  const sizes = dispatches.map(({ dispatch }) => uniformBytes(dispatch));
  const offsets: number[] = [];
  let total = 0;
  for (const size of sizes) {
    offsets.push(total);
    total += Math.ceil(size / alignment) * alignment;
  }
  const uniforms = device.createBuffer({
    label: 'uniforms',
    size: Math.max(alignment, total),
    usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    mappedAtCreation: true,
  });
  const mapped = uniforms.getMappedRange();
  const integers = new Int32Array(mapped);
  const floats = new Float32Array(mapped);
  dispatches.forEach(({ dispatch }, i) => {
    const at = offsets[i]! / 4;
    integers.set(dispatch.integers, at);
    floats.set(dispatch.floats ?? [], at + dispatch.integers.length);
  });
  uniforms.unmap();

  const list: Command[] = [];
  for (const [i, { call, dispatch, weight }] of dispatches.entries()) {
    const pipeline = await pipelines.get(dispatch.program);
    const resources: GPUBufferBinding[] = dispatch.memories.map(placeOf);
    const bindGroup = device.createBindGroup({
      label: `${dispatch.program.name} of ${call.node}`,
      layout: pipeline.getBindGroupLayout(0),
      entries: [...resources, { buffer: uniforms, offset: offsets[i]!, size: sizes[i]! }].map((resource, binding) => ({
        binding,
        resource,
      })),
    });
    const limit = device.limits.maxComputeWorkgroupsPerDimension;
    const columns = Math.min(dispatch.workgroups, limit);
    list.push({ call, pipeline, bindGroup, columns, rows: Math.ceil(dispatch.workgroups / columns), weight });
    progress(i + 1, dispatches.length);
  }
  return { list, objects: list.length + 1, dispose: () => uniforms.destroy() };
}

/** Of a struct of 4-byte fields. */
function uniformBytes({ integers, floats }: Dispatch): number {
  return Math.max(4, (integers.length + (floats?.length ?? 0)) * 4);
}

/** Records the commands from `begin` to `end` into one pass. */
export function encode(encoder: GPUCommandEncoder, commands: readonly Command[], begin: number, end: number): void {
  const pass = encoder.beginComputePass();
  for (let i = begin; i < end; i++) {
    const { pipeline, bindGroup, columns, rows } = commands[i]!;
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(columns, rows);
  }
  pass.end();
}
