import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const drivers = '/usr/share/vulkan/icd.d';
/** Of Linux: Mesa and most others, NVIDIA, Windows' own through WSL. */
const GPU_FILES = ['/dev/dri', '/dev/nvidiactl', '/dev/nvidia0', '/dev/dxg'];

/**
 * WebGPU in Node: Dawn, from npm's `webgpu`. Puts WebGPU's globals (GPUBufferUsage …) where a browser has them: tfjs reads them.
 * Where there is no GPU device file, Mesa's lavapipe is named to the Vulkan loader, so that it isn't asked for hardware.
 * Undefined where Dawn cannot start. A process that has used it must end with `process.exit()`.
 */
export async function openNodeGpu(): Promise<GPU | undefined> {
  instance ??= start();
  return instance;
}

/** One a process, and kept: Dawn crashes when an instance is collected before what was made with it. */
let instance: Promise<GPU | undefined> | undefined;

async function start(): Promise<GPU | undefined> {
  preferLavapipe();
  try {
    const { create, globals } = await import('webgpu');
    Object.assign(globalThis, globals);
    // Times of kernels to the nanosecond, not in steps of 65 µs as for a page, which might spy.
    const gpu = create(['disable-dawn-features=timestamp_quantization']);
    // tfjs's backend refuses to start without `navigator.gpu`. Node has no navigator before 21.
    const { navigator } = globalThis as { navigator?: object };
    if (navigator) Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true });
    else Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
    return gpu;
  } catch {
    return undefined;
  }
}

/** False where there can be no hardware: Dawn, which takes a while to start, need not be asked. */
export function mayHaveGpu(): boolean {
  return process.platform !== 'linux' || GPU_FILES.some((file) => existsSync(file));
}

function preferLavapipe(): void {
  if (mayHaveGpu()) return;
  // Vulkan's loader complains without it.
  process.env.XDG_RUNTIME_DIR ??= mkdtempSync(join(tmpdir(), 'runtime-'));
  if (process.env.VK_ICD_FILENAMES || process.env.VK_DRIVER_FILES || !existsSync(drivers)) return;
  const lavapipe = readdirSync(drivers).find((file) => file.startsWith('lvp_icd'));
  if (lavapipe) process.env.VK_ICD_FILENAMES = join(drivers, lavapipe);
}
