import { openInNode } from '../unit/support/openInNode.ts';
import { trainingSuite } from '../unit/support/trainingSuite.ts';

/** Whole networks in float16 beside torch's float64; kernels by themselves: compiled/float16.test.ts. */
const all = process.env['PACERID_ALL_STEPS'] === '1';
const where = {
  open: () => openInNode('webgpu'),
  on: 'webgpu',
  command: all ? 'npm run verify -- correctness' : 'npm test -- gpu/float16',
  float16: true,
};

trainingSuite('densenet121', { ...where, steps: () => (all ? Infinity : 2) });
if (all) trainingSuite('resnet50', { ...where, steps: () => Infinity });
trainingSuite('mobilenet_v3_small', { ...where, steps: () => (all ? Infinity : 3) });
trainingSuite('tiny', { ...where, steps: () => Infinity });
