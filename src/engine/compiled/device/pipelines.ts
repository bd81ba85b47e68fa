import type { Program } from '../kernels.ts';

/** Compute pipelines of one device, made once a program, asynchronously. */
export interface Pipelines {
  /** @throws GPUPipelineError (or GPUValidationError's message) that names the program. */
  get(program: Program): Promise<GPUComputePipeline>;
  /** How many were made so far and not forgotten. */
  readonly made: number;
  /** Of programs that aren't to be run again: the device may free them. */
  forget(programs: Iterable<Program>): void;
  /** From now on `tell` hears how many are compiled of those asked for so far: at most ten times a second, and not of what takes less. */
  onProgress(tell: (ready: number, asked: number) => void): void;
}

/** ms */
const TELL_EVERY = 100;

export function createPipelines(device: GPUDevice): Pipelines {
  const known = new Map<
    string,
    { readonly code: string; readonly pipeline: Promise<GPUComputePipeline>; isReady: boolean }
  >();
  let tell: (ready: number, asked: number) => void = () => {};
  let ready = 0;
  let [told, quiet] = [0, true];
  /** Of those that are being compiled now the first is asked for. */
  const begin = (): void => {
    [told, quiet] = [performance.now(), true];
  };
  const end = (): void => {
    ready++;
    const late = performance.now() - told >= TELL_EVERY;
    // Whoever heard of a beginning hears of the end.
    if (!late && (quiet || ready < known.size)) return;
    [told, quiet] = [performance.now(), false];
    tell(ready, known.size);
  };
  return {
    get made() {
      return known.size;
    },
    get({ name, code }) {
      const entry = known.get(name);
      if (entry) {
        if (entry.code !== code) throw new Error(`Two programs are named ${name}.`);
        return entry.pipeline;
      }
      const module = device.createShaderModule({ code, label: name });
      const pipeline = device
        .createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'main' }, label: name })
        .catch((error: unknown) => {
          throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
        });
      if (ready === known.size) begin();
      const made = { code, pipeline, isReady: false };
      known.set(name, made);
      const ended = (): void => {
        made.isReady = true;
        // Who was forgotten meanwhile isn't counted.
        if (known.get(name) === made) end();
      };
      pipeline.then(ended, ended);
      return pipeline;
    },
    forget(programs) {
      for (const { name } of programs) {
        if (known.get(name)?.isReady) ready--;
        known.delete(name);
      }
    },
    onProgress(listener) {
      tell = listener;
    },
  };
}
