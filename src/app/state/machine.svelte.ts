import type { AdapterReport } from '../../workers/protocol.ts';
import { config } from './config.svelte.ts';
import { request } from './workers.svelte.ts';
import type { ErrorReport } from '../../errors.ts';

let report = $state.raw<AdapterReport | null>(null);
let failure = $state.raw<ErrorReport | null>(null);
let probing = $state(false);
let asked = config.effective.training.device;

/** This computer, as the trainer sees it: what `training.device` would take. */
export const machine = {
  /** Null until probed, or where probing failed. */
  get report(): AdapterReport | null {
    return report;
  },
  get failure(): ErrorReport | null {
    return failure;
  },
  get probing(): boolean {
    return probing;
  },
  /** WebGPU, service workers and SubtleCrypto exist on secure origins only. */
  get secure(): boolean {
    return isSecureContext;
  },
  get hasWebGpu(): boolean {
    return 'gpu' in navigator;
  },
  /** `anew`: what was measured before doesn't count. */
  async probe(device = config.effective.training.device, anew = false): Promise<void> {
    asked = device;
    if (probing) return;
    probing = true;
    const outcome = await request('trainer', 'probe', { device, anew });
    report = outcome.ok ? outcome.value : null;
    failure = outcome.ok ? null : outcome.error;
    probing = false;
    // The setting was changed meanwhile.
    if (asked !== device) await machine.probe(asked);
  },
};
