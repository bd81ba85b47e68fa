import { openInNode } from '../unit/support/openInNode.ts';
import { optimiserSuite } from '../unit/support/optimiserSuite.ts';

optimiserSuite(() => openInNode('webgpu'), 'webgpu', 'npm test -- optimisers --only gpu');
