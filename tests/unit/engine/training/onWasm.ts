import { openInNode } from '../../support/openInNode.ts';
import type { Where } from '../../support/trainingSuite.ts';

/** All steps of all networks; a file each, so that they run side by side. */
export const onWasm: Where = {
  open: () => openInNode('wasm'),
  on: 'wasm',
  command: 'npm test -- engine/training',
  steps: () => Infinity,
};
