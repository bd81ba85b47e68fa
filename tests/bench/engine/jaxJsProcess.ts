import { createRequire } from 'node:module';
import { median } from './median.ts';
import { steppingProcess } from './steppingProcess.ts';

/** So many losses of the first steps are compared, later ones drift; those that are further apart are another network's. */
const COMPARED = 3;
const SAME = 1e-3;

export interface JaxJsResult {
  /** Median of the steps but the first; null where it could not run, or ran another network than ours. */
  readonly jax_ms: number | null;
  /** The largest of the first three steps. */
  readonly jax_loss_difference: number | null;
  /** Why there are no milliseconds. */
  readonly jax_failure: string | null;
}

export interface JaxJs {
  step(): Promise<void>;
  /** Of the steps so far, against our losses. */
  result(ours: readonly number[]): JaxJsResult;
  close(): void;
}

/** jax-js in a process of its own (jaxJs.ts), where it runs on this machine: a failure is told in the result, not thrown. */
export async function openJaxJs(net: string, n: number, size: number): Promise<JaxJs> {
  if (!isInstalled()) return failed('@jax-js/jax is not installed');
  const args = ['scripts/run.mjs', 'tests/bench/engine/jaxJs.ts', net, `${n}`, `${size}`];
  const other = steppingProcess(process.execPath, args, 'inherit');
  const milliseconds: number[] = [];
  const losses: number[] = [];
  let failure: string | null = null;

  const heard = (line: string | null): string => {
    if (line === null) failure = 'ended without a word';
    else if (line.startsWith('failed: ')) failure = line.slice('failed: '.length);
    return line ?? '';
  };
  while (failure === null && heard(await other.line()) !== 'ready');
  if (failure !== null) return failed(failure);

  return {
    async step() {
      if (failure !== null) return;
      const [ms, loss] = heard(await other.step().catch(() => null))
        .split(' ')
        .map(Number);
      if (failure !== null) return;
      milliseconds.push(ms!);
      losses.push(loss!);
    },
    result(ours) {
      if (failure !== null) return failed(failure).result(ours);
      const difference = Math.max(...losses.slice(0, COMPARED).map((loss, i) => Math.abs(loss - ours[i]!)));
      // NaN isn't within it either.
      return difference <= SAME
        ? { jax_ms: median(milliseconds.slice(1)), jax_loss_difference: difference, jax_failure: null }
        : { jax_ms: null, jax_loss_difference: difference, jax_failure: 'its losses are not ours' };
    },
    close: () => other.close(),
  };
}

function failed(why: string): JaxJs {
  return {
    step: () => Promise.resolve(),
    result: () => ({ jax_ms: null, jax_loss_difference: null, jax_failure: why }),
    close: () => undefined,
  };
}

/** This file runs from a bundle, which lies in the repository too. */
function isInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve('@jax-js/jax');
    return true;
  } catch {
    return false;
  }
}
