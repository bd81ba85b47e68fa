import { logitsSuite, nanSuite, stepsSuite } from '../unit/support/engineSuites.ts';
import { openInNode } from '../unit/support/openInNode.ts';

const open = () => openInNode('webgpu');

stepsSuite(open);
nanSuite(open);
// The other sizes and head widths are tested on wasm: compiling shaders on a software GPU is dear.
const all = process.env['PACERID_ALL_STEPS'] === '1';
logitsSuite(
  open,
  { quantity: 'logits', on: 'webgpu', command: 'npm test -- gpu/numerics' },
  (title) => all || title.includes('45 classes, 64 px'),
);
