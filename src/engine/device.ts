import * as tf from '@tensorflow/tfjs';
import { describeAdapter, describeProcessor } from './adapter.ts';
import { BackendUnavailableError, NoWebGpuError, type NoWebGpuReason } from './errors.ts';
import { createEngine, type OpenDevice } from './reference/engine.ts';
import { openGpuDevice } from './reference/gpuDevice.ts';
import { openWasm, threadsOf } from './reference/wasmBackend.ts';
import { inPlaceOnWasm } from './reference/wasmGradients/inPlace.ts';
import { registerWasmGradients } from './reference/wasmGradients/index.ts';
import type { AdapterReport, DeviceSetting, Engine, EngineEnvironment } from './types.ts';

type Choice =
  | { readonly adapter: GPUAdapter }
  | { readonly adapter: null; readonly backend: 'wasm' | 'webgl' | 'cpu'; readonly notice: string | null };

/**
 * Which device a setting means here. `auto` (and the seed's `cuda`): a real GPU through WebGPU, else wasm, with a notice. The
 * others force a backend; `webgpu` takes any adapter, software ones too.
 * @throws NoWebGpuError for `webgpu` where there is no adapter.
 */
async function choose(setting: DeviceSetting, environment: EngineEnvironment): Promise<Choice> {
  if (setting === 'wasm' || setting === 'webgl' || setting === 'cpu') {
    return { adapter: null, backend: setting, notice: null };
  }
  const found = await requestAdapter(environment);
  if (setting === 'webgpu') {
    if (typeof found === 'string') throw new NoWebGpuError(found);
    return { adapter: found };
  }
  if (typeof found === 'string') {
    const { message } = new NoWebGpuError(found);
    const notice = `${message} Training runs on the processor (WebAssembly): slower, with the same results.`;
    return { adapter: null, backend: 'wasm', notice };
  }
  const report = describeAdapter(found, null);
  if (!report.software) return { adapter: found };
  const notice =
    `The only graphics processor found is an imitation in software (${report.label}), which is slower than ` +
    'WebAssembly; training runs on the processor (WebAssembly), with the same results.';
  return { adapter: null, backend: 'wasm', notice };
}

/** What wasm's threads have come to is known once it was started. */
function describe(choice: Choice, environment: EngineEnvironment): AdapterReport {
  if (choice.adapter) return describeAdapter(choice.adapter, null);
  return describeProcessor(choice.backend, threadsOf(environment), choice.notice);
}

async function requestAdapter(environment: EngineEnvironment): Promise<GPUAdapter | NoWebGpuReason> {
  const none = environment.inNode ? 'inNode' : 'noAdapter';
  if (!environment.gpu) return environment.inNode ? none : environment.secureContext ? 'absent' : 'insecure';
  try {
    return (await environment.gpu.requestAdapter({ powerPreference: 'high-performance' })) ?? none;
  } catch {
    return none;
  }
}

/** What `openEngine` would take, without opening it. Throws as it does. */
export async function probe(setting: DeviceSetting, environment: EngineEnvironment): Promise<AdapterReport> {
  return describe(await choose(setting, environment), environment);
}

/**
 * Opens the device and an engine on it. One engine a worker: tfjs's registry is global, and opening a backend anew takes the
 * old one's tensors with it. After a loss, call it again.
 * @throws NoWebGpuError, BackendUnavailableError
 */
export async function openEngine(setting: DeviceSetting, environment: EngineEnvironment): Promise<Engine> {
  const choice = await choose(setting, environment);
  tf.enableProdMode();
  try {
    const device = choice.adapter
      ? await openGpuDevice(choice.adapter)
      : await openProcessor(choice.backend, environment);
    return createEngine(describe(choice, environment), device);
  } catch (error) {
    throw new BackendUnavailableError(describe(choice, environment).label, error);
  }
}

async function openProcessor(name: 'wasm' | 'webgl' | 'cpu', environment: EngineEnvironment): Promise<OpenDevice> {
  if (name === 'wasm') {
    const { backend } = await openWasm(environment);
    registerWasmGradients();
    return { ...backend, inPlace: inPlaceOnWasm() };
  }
  if (!(await tf.setBackend(name))) throw new Error(`tfjs could not start its ${name} backend.`);
  return { name, inPlace: null, device: null };
}
