import type { Program } from '../kernels.ts';

/** Compute pipelines of one device, made once a program, asynchronously. */
export interface Pipelines {
  /** @throws GPUPipelineError (or GPUValidationError's message) that names the program. */
  get(program: Program): Promise<GPUComputePipeline>;
  /** How many were made so far. */
  readonly made: number;
}

export function createPipelines(device: GPUDevice): Pipelines {
  const known = new Map<string, { readonly code: string; readonly pipeline: Promise<GPUComputePipeline> }>();
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
      pipeline.catch(() => undefined);
      known.set(name, { code, pipeline });
      return pipeline;
    },
  };
}
