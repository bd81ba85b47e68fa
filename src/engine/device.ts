import * as tf from '@tensorflow/tfjs';
import { describeAdapter, describeProcessor, requestAdapter } from './adapter.ts';
import { BackendUnavailableError, NoWebGpuError, type NoWebGpuReason } from './errors.ts';
import { compiledNetworks } from './compiled/engine.ts';
import { fasterDevice, passedOver } from './fasterDevice.ts';
import { createEngine, type OpenDevice } from './reference/engine.ts';
import { openWebGpu } from './reference/webgpuBackend.ts';
import { openWasm, threadsOf } from './reference/wasmBackend.ts';
import { inPlaceOnWasm } from './reference/wasmGradients/inPlace.ts';
import { registerWasmGradients } from './reference/wasmGradients/index.ts';
import { measureSpeed } from './speed.ts';
import { speedsOf } from './speeds.ts';
import type { AdapterReport, Backend, DeviceSetting, Engine, EngineEnvironment, Speeds } from './types.ts';

type Choice = { readonly speeds?: Speeds } & (
  | { readonly adapter: GPUAdapter }
  | { readonly adapter: null; readonly backend: 'wasm' | 'webgl' | 'cpu'; readonly notice: string | null }
);

export interface Wish {
  /** The device that a run began on: with `auto` it goes on there, if it's still there. */
  readonly began?: Backend | null;
  /** What was measured before doesn't count. */
  readonly anew?: boolean;
}

/**
 * Which device a setting means here. `auto` (and the seed's `cuda`): of a real GPU through WebGPU and wasm the faster one by a short
 * measurement; wasm, with a notice, where there is no such GPU. The others force a backend; `webgpu` takes any adapter, software ones too.
 * @throws NoWebGpuError for `webgpu` where there is no adapter.
 */
async function choose(setting: DeviceSetting, environment: EngineEnvironment, wish: Wish): Promise<Choice> {
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
  if (report.software) {
    const notice =
      `The only graphics processor found is an imitation in software (${report.label}), which is slower than ` +
      'WebAssembly; training runs on the processor (WebAssembly), with the same results.';
    return { adapter: null, backend: 'wasm', notice };
  }
  if (wish.began === 'webgpu') return { adapter };
  if (wish.began === 'wasm') return { adapter: null, backend: 'wasm', notice: BEGAN_ON_WASM };
  return chooseFaster(adapter, report, environment, wish);
}

const BEGAN_ON_WASM =
  'The run began on the processor (WebAssembly) and goes on there: a graphics processor rounds otherwise. training.device webgpu changes it.';

/** Engines that are open: beside their work nothing could be measured, and tfjs's registry holds one device of each kind. */
let open = 0;

async function chooseFaster(
  adapter: GPUAdapter,
  report: AdapterReport,
  environment: EngineEnvironment,
  { anew = false }: Wish,
): Promise<Choice> {
  // An adapter gives one device.
  let unused = adapter;
  const speeds = await speedsOf(report, environment, { anew, mayMeasure: open === 0 }, async (candidate) => {
    if (candidate === 'wasm') return speedOn({ adapter: null, backend: 'wasm', notice: null }, environment);
    const speed = await speedOn({ adapter }, environment);
    unused = (await requestAdapter(environment)) ?? adapter;
    return speed;
  });
  if (speeds === null) return { adapter };
  if (fasterDevice(speeds) === 'webgpu') return { adapter: unused, speeds };
  return { adapter: null, backend: 'wasm', notice: passedOver(report.label, speeds), speeds };
}

/** FLOP/s; 0: it can't be trained on. */
async function speedOn(choice: Choice, environment: EngineEnvironment): Promise<number> {
  try {
    const engine = await openChosen(choice, environment);
    try {
      return await measureSpeed(engine);
    } finally {
      await engine.dispose();
    }
  } catch (error) {
    console.warn(`A device failed in the measurement: ${error instanceof Error ? error.message : String(error)}`);
    return 0;
  }
}

/** What wasm's threads have come to is known once it was started. */
function describe(choice: Choice, environment: EngineEnvironment): AdapterReport {
  const report = choice.adapter
    ? describeAdapter(choice.adapter, null)
    : describeProcessor(choice.backend, threadsOf(environment), choice.notice);
  return choice.speeds ? { ...report, speeds: choice.speeds } : report;
}

function whyNone({ gpu, inNode, secureContext }: EngineEnvironment): NoWebGpuReason {
  if (inNode) return 'inNode';
  if (gpu) return 'noAdapter';
  return secureContext ? 'absent' : 'insecure';
}

let turn: Promise<unknown> = Promise.resolve();
/** One after the other: what is being measured must have the computer, and tfjs's registry, for itself. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const mine = turn.then(work);
  turn = mine.catch(() => undefined);
  return mine;
}

/** What `openEngine` would take, without leaving it open. Throws as it does. */
export function probe(
  setting: DeviceSetting,
  environment: EngineEnvironment,
  wish: Pick<Wish, 'anew'> = {},
): Promise<AdapterReport> {
  return inTurn(async () => describe(await choose(setting, environment, wish), environment));
}

/**
 * Opens the device and an engine on it. One engine a worker: tfjs's registry is global, and opening a backend anew takes the
 * old one's tensors with it. After a loss, call it again. On WebGPU networks run on the compiled engine, elsewhere on tfjs's ops.
 * @throws NoWebGpuError, BackendUnavailableError
 */
export function openEngine(
  setting: DeviceSetting,
  environment: EngineEnvironment,
  wish: Pick<Wish, 'began'> = {},
): Promise<Engine> {
  return inTurn(async () => {
    const engine = await openChosen(await choose(setting, environment, wish), environment);
    open++;
    let isOpen = true;
    return {
      ...engine,
      dispose: () => {
        if (isOpen) open--;
        isOpen = false;
        return engine.dispose();
      },
    };
  });
}

async function openChosen(choice: Choice, environment: EngineEnvironment): Promise<Engine> {
  tf.enableProdMode();
  try {
    if (!choice.adapter) {
      const device = await openProcessor(choice.backend, environment);
      // Only now it is known how many threads wasm has.
      return createEngine(describe(choice, environment), device);
    }
    const report = describe(choice, environment);
    const device = { ...(await openWebGpu(choice.adapter)), inPlace: null };
    return createEngine(report, device, compiledNetworks(device.device!, report, environment.cuts));
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
