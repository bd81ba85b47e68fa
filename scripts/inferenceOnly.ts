import type { Plugin } from 'vite';

const TENSORS = '\0tensors';

/**
 * For a page that only predicts: tfjs's core in the place of the whole of it, which would bring gradients, layers and data along; and of
 * the core all but its optimisers, which its index.js registers for whoever doesn't replace that file (as tfjs's custom bundles do).
 */
export function inferenceOnly(): Plugin {
  return {
    name: 'inference-only',
    enforce: 'pre',
    resolveId: (id) => (/^@tensorflow\/tfjs(-core)?$/.test(id) ? TENSORS : null),
    load: (id) =>
      id === TENSORS
        ? `import '@tensorflow/tfjs-core/dist/base_side_effects'; export * from '@tensorflow/tfjs-core/dist/base';`
        : null,
  };
}
