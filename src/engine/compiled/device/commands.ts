import type { Call } from '../calls.ts';
import type { Cost, Dispatch, KernelTable, Kernel } from '../kernels.ts';
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

/** A dispatch with what profiles and the cutting into submits want to know of it. */
export interface Work {
  readonly dispatch: Dispatch;
  /** Node of the graph, or what else it is for. */
  readonly node: string;
  /** Kind of the call. */
  readonly kind: string;
  /** Modelled cost, arbitrary unit: only shares count. */
  readonly weight: number;
  /** For profiles: of the whole call with its first dispatch; absent: nobody counts it. */
  readonly cost?: Cost;
}

/** One dispatch, ready: nothing is made any more when it runs. */
export interface Command {
  readonly node: string;
  readonly kind: string;
  /** Name of its program. */
  readonly program: string;
  readonly cost: Cost;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly columns: number;
  readonly rows: number;
  readonly weight: number;
}

export interface Commands {
  readonly list: readonly Command[];
  dispose(): void;
}

const UNIFORM_ALIGNMENT = 256;

const FREE: Cost = { flops: 0, bytes: 0 };

/** Bytes that cost as much time as one operation does, times its operations: a modelled machine of 10 operations a byte. */
const OPERATIONS_A_BYTE = 10;

/** The dispatches of calls, in order. */
export function worksOf(kernels: KernelTable, calls: readonly PlannedCall[]): Work[] {
  return calls.flatMap(({ call, scratch }) => {
    const kernel = kernels[call.kind] as Kernel<Call>;
    const cost = kernel.cost(call);
    const dispatches = kernel.dispatches(call, scratch);
    const weight = (cost.flops + OPERATIONS_A_BYTE * cost.bytes) / dispatches.length;
    return dispatches.map((dispatch, i) => ({
      dispatch,
      node: call.node,
      kind: call.kind,
      weight,
      cost: i === 0 ? cost : FREE,
    }));
  });
}

/**
 * Pipelines, uniforms and bind groups.
 * @throws Error that names the kernel whose shader the device refuses.
 */
export async function prepare(
  device: GPUDevice,
  pipelines: Pipelines,
  works: readonly Work[],
  placeOf: (memory: Memory) => Place,
): Promise<Commands> {
  // All at once: the driver compiles on as many threads as it likes.
  for (const { dispatch } of works) void pipelines.get(dispatch.program).catch(() => undefined);

  const alignment = Math.max(UNIFORM_ALIGNMENT, device.limits.minUniformBufferOffsetAlignment);
  const sizes = works.map(({ dispatch }) => uniformBytes(dispatch));
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
  works.forEach(({ dispatch }, i) => {
    const at = offsets[i]! / 4;
    integers.set(dispatch.integers, at);
    floats.set(dispatch.floats ?? [], at + dispatch.integers.length);
  });
  uniforms.unmap();

  const commandOf = async ({ dispatch, node, kind, weight, cost = FREE }: Work, i: number): Promise<Command> => {
    const pipeline = await pipelines.get(dispatch.program);
    const resources: GPUBufferBinding[] = dispatch.memories.map(placeOf);
    const bindGroup = device.createBindGroup({
      label: `${dispatch.program.name} of ${node}`,
      layout: pipeline.getBindGroupLayout(0),
      entries: [...resources, { buffer: uniforms, offset: offsets[i]!, size: sizes[i]! }].map((resource, binding) => ({
        binding,
        resource,
      })),
    });
    const limit = device.limits.maxComputeWorkgroupsPerDimension;
    const columns = Math.min(dispatch.workgroups, limit);
    const rows = Math.ceil(dispatch.workgroups / columns);
    return { node, kind, program: dispatch.program.name, cost, pipeline, bindGroup, columns, rows, weight };
  };
  try {
    const list: Command[] = [];
    for (const [i, work] of works.entries()) list.push(await commandOf(work, i));
    return { list, dispose: () => uniforms.destroy() };
  } catch (error) {
    uniforms.destroy();
    throw error;
  }
}

/** Of a struct of 4-byte fields. */
function uniformBytes({ integers, floats }: Dispatch): number {
  return Math.max(4, (integers.length + (floats?.length ?? 0)) * 4);
}

/** Records the commands from `begin` to `end` into one pass. */
export function encode(encoder: GPUCommandEncoder, commands: readonly Command[], begin: number, end: number): void {
  const pass = encoder.beginComputePass();
  for (let i = begin; i < end; i++) encodeDispatch(pass, commands[i]!);
  pass.end();
}

export function encodeDispatch(pass: GPUComputePassEncoder, { pipeline, bindGroup, columns, rows }: Command): void {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(columns, rows);
}
