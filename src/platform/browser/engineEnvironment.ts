import type { EngineEnvironment } from '../../engine/types.ts';
import { wasmPaths, wasmThreadScript } from './wasmFiles.ts';

/** What this page, or this worker, can give to the engine. */
export function browserEngineEnvironment(): EngineEnvironment {
  return {
    gpu: (navigator as Partial<Navigator>).gpu,
    secureContext: isSecureContext,
    crossOriginIsolated,
    processors: navigator.hardwareConcurrency || 1,
    wasmPaths,
    wasmThreadScript,
  };
}
