import { UserError } from '../errors.ts';

const kept = 'The data set, the last checkpoint and every stored run are unchanged.';

/** `training.device: webgpu` where there is none. */
export class NoWebGpuError extends UserError {
  constructor(reason: NoWebGpuReason) {
    const { message, remedy } = reasons[reason];
    super(message, { kept, remedy });
  }
}

export type NoWebGpuReason = 'insecure' | 'absent' | 'noAdapter' | 'inNode';

const reasons: Record<NoWebGpuReason, { message: string; remedy: string }> = {
  insecure: {
    message: 'This page was opened over plain http, and browsers offer WebGPU only on https:// or localhost.',
    remedy:
      'Open the page over https, or ask your IT department to serve it over https. With training.device auto or wasm, training works here on the processor.',
  },
  absent: {
    message: 'This browser has no WebGPU.',
    remedy:
      'Use a current Chrome or Edge (Windows, macOS, ChromeOS), or Safari 26 on a Mac. With training.device auto or wasm, training works here on the processor.',
  },
  noAdapter: {
    message: 'The browser has WebGPU, but found no graphics processor that it may use.',
    remedy:
      'Switch on “Use graphics acceleration when available” in the browser’s settings and update the graphics driver. Where it cannot be switched on, ask your IT department whether the policy HardwareAccelerationModeEnabled is off. With training.device auto or wasm, training works here on the processor.',
  },
  inNode: {
    message: 'WebGPU found no graphics processor on this computer.',
    remedy:
      'Install or update the graphics driver; on Linux it needs Vulkan too (libvulkan1 and the driver’s own part). With training.device auto or wasm, training works here on the processor.',
  },
};

/** The device reported an error that no call of ours caught: what it computed since cannot be trusted. */
export class GpuError extends UserError {
  constructor(detail: string) {
    super(`The graphics processor reported an error: ${detail}`, {
      kept: 'The last checkpoint. The step in which it happened was discarded.',
      remedy: 'Lower data.batch_size or data.img_size, or set training.device to wasm, and resume from the checkpoint.',
    });
  }
}

/** The driver was reset, the GPU process died, the computer slept, or the engine was closed. */
export class DeviceLostError extends UserError {
  constructor(detail: string) {
    super(`The graphics processor was lost: ${detail}`, {
      kept: 'Everything up to the last checkpoint.',
      remedy: 'Resume the run: a new device is opened and training continues from the checkpoint.',
    });
  }
}

/** The backend that was asked for cannot start here. */
export class BackendUnavailableError extends UserError {
  constructor(backend: string, cause: unknown) {
    super(`${backend} cannot be used here: ${cause instanceof Error ? cause.message : String(cause)}`, {
      kept,
      remedy: 'Set training.device to auto.',
      cause,
    });
  }
}

/** The device has no room for a buffer of a step, or lends none of that size. It is as usable as before. */
export class GpuMemoryError extends UserError {
  constructor(bytes: number, cause?: unknown) {
    const needed = `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB in one piece`;
    super(`The graphics processor refused memory that training needs: ${needed}.`, {
      kept: 'The last checkpoint. The step in which it happened was discarded.',
      remedy:
        'Close other programs that use the graphics processor, lower data.batch_size, training.batchnorm_batch or data.img_size, or set training.device to wasm, and resume from the checkpoint.',
      cause,
    });
  }
}

/** float16 maps: so many steps in a row had gradients, or a loss, that it can't hold, at smaller and smaller scales. */
export class Float16RangeError extends UserError {
  constructor(steps: number) {
    super(`In float16, ${steps} steps in a row had gradients that are not finite: none of them was made.`, {
      kept: 'The last checkpoint.',
      remedy:
        'Set training.precision to float32 and start again. If its loss is no number there either, lower training.learning_rate.',
    });
  }
}

/** The wasm heap (at most 4 GiB, often less) has no room for what the step needs. */
export class OutOfMemoryError extends UserError {
  constructor(bytes: number) {
    super(`The processor’s memory for training is full: ${Math.ceil(bytes / 2 ** 20)} MiB more were needed.`, {
      kept: 'The last checkpoint. The step in which it happened was discarded.',
      remedy: 'Lower data.batch_size, training.batchnorm_batch or data.img_size, or train a smaller architecture.',
    });
  }
}
