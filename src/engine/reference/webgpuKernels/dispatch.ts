import { engine, type KernelConfig, type TensorInfo } from '@tensorflow/tfjs';

/**
 * Own WGSL on tfjs's device and in its command stream. tfjs's `runWebGPUProgram` writes one output a program; training wants several,
 * and some in place. So this speaks to the backend's own recorder; its names are those of tfjs-backend-webgpu 4.22.0, which is pinned.
 */
interface WebGpuBackend {
  readonly device: GPUDevice;
  readonly commandQueueOwnedIds: WeakSet<object>;
  readonly tensorMap: { get(dataId: object): { resource?: GPUBuffer; values: unknown } };
  dispatchCountInPass: number;
  commandEncoder: GPUCommandEncoder;
  computePassEncoder: GPUComputePassEncoder | null;
  makeTensorInfo(shape: readonly number[], dtype: 'float32'): TensorInfo;
  makeUniforms(fields: { type: string; data: number[] }[]): { buffer: GPUBuffer; offset: number; size: number };
  disposeData(dataId: object): boolean;
  uploadToGPU(dataId: object): void;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/** Dispatches between two submits. tfjs's 15 leaves the device waiting for the processor between small layers. */
const batch = 64;

export interface Program {
  readonly name: string;
  /** Storage buffers in the order of their bindings, then the uniforms; see `shader`. */
  readonly code: string;
}

interface Binding {
  readonly name: string;
  readonly access: 'read' | 'read_write';
  readonly element: 'f32' | 'u32';
}

/**
 * WGSL with its declarations. Every buffer is `array<f32>`, or `array<u32>` where `bits` names it too: int32 tensors, whose bits nobody
 * touches on the way. `integers` and `floats` become fields of `u`. `body` sees `group`, the flat index of the workgroup, `lane`, the
 * thread's index in it, and `index`, the flat index of the thread.
 */
export function shader(
  name: string,
  options: {
    readonly reads: readonly string[];
    readonly writes: readonly string[];
    readonly bits?: readonly string[];
    readonly integers: readonly string[];
    readonly floats?: readonly string[];
    readonly workgroup?: number;
    readonly declarations?: string;
    readonly body: string;
  },
): Program {
  const size = options.workgroup ?? 64;
  const element = (each: string): Binding['element'] => (options.bits?.includes(each) ? 'u32' : 'f32');
  const bindings: Binding[] = [
    ...options.reads.map((each) => ({ name: each, access: 'read' as const, element: element(each) })),
    ...options.writes.map((each) => ({ name: each, access: 'read_write' as const, element: element(each) })),
  ];
  const fields = [
    ...options.integers.map((field) => `${field} : i32`),
    ...(options.floats ?? []).map((field) => `${field} : f32`),
  ];
  const code = `
${bindings.map((b, i) => `@group(0) @binding(${i}) var<storage, ${b.access}> ${b.name} : array<${b.element}>;`).join('\n')}
struct Uniforms { ${fields.join(', ')} }
@group(0) @binding(${bindings.length}) var<uniform> u : Uniforms;
${options.declarations ?? ''}
@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) workgroupId : vec3<u32>, @builtin(num_workgroups) workgroups : vec3<u32>,
        @builtin(local_invocation_index) localIndex : u32) {
  let group = i32(workgroupId.y * workgroups.x + workgroupId.x);
  let lane = i32(localIndex);
  let index = group * ${size} + lane;
  ${options.body}
}`;
  return { name, code };
}

const pipelines = new WeakMap<GPUDevice, Map<string, GPUComputePipeline>>();

function pipelineOf(device: GPUDevice, { name, code }: Program): GPUComputePipeline {
  let known = pipelines.get(device);
  if (!known) pipelines.set(device, (known = new Map<string, GPUComputePipeline>()));
  let pipeline = known.get(name);
  if (!pipeline) {
    const module = device.createShaderModule({ code, label: name });
    pipeline = device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' }, label: name });
    known.set(name, pipeline);
  }
  return pipeline;
}

function webgpu(): WebGpuBackend {
  return engine().backend as unknown as WebGpuBackend;
}

export function allocate(shape: readonly number[]): TensorInfo {
  return webgpu().makeTensorInfo([...shape], 'float32');
}

/** Frees a temporary once the commands that use it are submitted. */
export function free(...tensors: readonly TensorInfo[]): void {
  for (const { dataId } of tensors) webgpu().disposeData(dataId);
}

/** Records one dispatch. `tensors`: those read, then those written. Workgroups beyond 65,535 go into the second dimension. */
export function dispatch(
  program: Program,
  tensors: readonly TensorInfo[],
  uniforms: { readonly integers: readonly number[]; readonly floats?: readonly number[] },
  workgroups: number,
): void {
  const backend = webgpu();
  const { device } = backend;
  const pipeline = pipelineOf(device, program);
  const resources = tensors.map(({ dataId }): GPUBindingResource => {
    backend.uploadToGPU(dataId);
    backend.commandQueueOwnedIds.add(dataId);
    return { buffer: backend.tensorMap.get(dataId).resource! };
  });
  const uniform = backend.makeUniforms([
    ...uniforms.integers.map((value) => ({ type: 'int32', data: [value] })),
    ...(uniforms.floats ?? []).map((value) => ({ type: 'float32', data: [value] })),
  ]);
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [...resources, uniform].map((resource, binding) => ({ binding, resource })),
  });
  backend.ensureCommandEncoderReady();
  backend.computePassEncoder ??= backend.commandEncoder.beginComputePass();
  const limit = device.limits.maxComputeWorkgroupsPerDimension;
  const columns = Math.min(workgroups, limit);
  backend.computePassEncoder.setPipeline(pipeline);
  backend.computePassEncoder.setBindGroup(0, bindGroup);
  backend.computePassEncoder.dispatchWorkgroups(columns, Math.ceil(workgroups / columns));
  backend.dispatchCountInPass++;
  if (backend.dispatchCountInPass >= batch) {
    backend.endComputePassEncoder();
    backend.submitQueue();
  }
}

/** To be called for tensors written in place: tfjs would go on answering `data()` from its copy on the processor. */
export function touched(...tensors: readonly TensorInfo[]): void {
  for (const { dataId } of tensors) webgpu().tensorMap.get(dataId).values = null;
}

export function webgpuKernel<Inputs, Attributes>(
  kernelName: string,
  compute: (inputs: Inputs, attributes: Attributes) => TensorInfo | TensorInfo[],
): KernelConfig {
  return {
    kernelName,
    backendName: 'webgpu',
    kernelFunc: ({ inputs, attrs }) => compute(inputs as Inputs, attrs as Attributes),
  };
}

export function sizeOf({ shape }: TensorInfo): number {
  return shape.reduce((product, extent) => product * extent, 1);
}
