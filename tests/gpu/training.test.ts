import { openInNode } from '../unit/support/openInNode.ts';
import { trainingSuite } from '../unit/support/trainingSuite.ts';

/** A software GPU takes seconds for a step of the two large ones; `npm run verify -- correctness` makes all of them. */
const all = process.env['PACERID_ALL_STEPS'] === '1';
const where = {
  open: () => openInNode('webgpu'),
  on: 'webgpu',
  command: all ? 'npm run verify -- correctness' : 'npm test -- gpu/training',
};

trainingSuite('densenet121', { ...where, steps: () => (all ? Infinity : 2) });
trainingSuite('resnet50', { ...where, steps: () => (all ? Infinity : 2) });
trainingSuite('mobilenet_v3_small', { ...where, steps: () => (all ? Infinity : 5) });
trainingSuite('tiny', { ...where, steps: () => Infinity });
