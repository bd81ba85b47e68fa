import * as tf from '@tensorflow/tfjs';
import { describeAdapter, describeProcessor, requestAdapter } from './adapter.ts';
import { BackendUnavailableError, NoWebGpuError, type NoWebGpuReason } from './errors.ts';
import { compiledNetworks } from './compiled/engine.ts';
import { createEngine, type OpenDevice } from './reference/engine.ts';
import { openWebGpu } from './reference/webgpuBackend.ts';
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
  const adapter = await requestAdapter(environment);
  if (setting === 'webgpu') {
    if (adapter === null) throw new NoWebGpuError(whyNone(environment));
    return { adapter };
  }
  if (adapter === null) {
    const { message } = new NoWebGpuError(whyNone(environment));
    const notice = `${message} Training runs on the processor (WebAssembly): slower, with the same results.`;
    return { adapter: null, backend: 'wasm', notice };
  }
  const report = describeAdapter(adapter, null);
  if (!report.software) return { adapter };
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

function whyNone({ gpu, inNode, secureContext }: EngineEnvironment): NoWebGpuReason {
  if (inNode) return 'inNode';
  if (gpu) return 'noAdapter';
  return secureContext ? 'absent' : 'insecure';
}

/** What `openEngine` would take, without opening it. Throws as it does. */
export async function probe(setting: DeviceSetting, environment: EngineEnvironment): Promise<AdapterReport> {
  return describe(await choose(setting, environment), environment);
}

/**
 * Opens the device and an engine on it. One engine a worker: tfjs's registry is global, and opening a backend anew takes the
 * old one's tensors with it. After a loss, call it again. On WebGPU networks run on the compiled engine, elsewhere on tfjs's ops.
 * @throws NoWebGpuError, BackendUnavailableError
 */
export async function openEngine(setting: DeviceSetting, environment: EngineEnvironment): Promise<Engine> {
  const choice = await choose(setting, environment);
  tf.enableProdMode();
  try {
    if (!choice.adapter) {
      const device = await openProcessor(choice.backend, environment);
      // Only now it is known how many threads wasm has.
      return createEngine(describe(choice, environment), device);
    }
    const report = describe(choice, environment);
    const device = { ...(await openWebGpu(choice.adapter)), inPlace: null };
    return createEngine(report, device, compiledNetworks(device.device!, report));
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
