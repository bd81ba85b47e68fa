import { getKernel, registerKernel, unregisterKernel, type KernelConfig } from '@tensorflow/tfjs';

/** Registers each kernel for its backend, in the place of tfjs's own where there is one. Doing it again changes nothing. */
export function registerKernels(kernels: readonly KernelConfig[]): void {
  for (const kernel of kernels) {
    const registered = getKernel(kernel.kernelName, kernel.backendName);
    if (registered === kernel) continue;
    if (registered) unregisterKernel(kernel.kernelName, kernel.backendName);
    registerKernel(kernel);
  }
}
