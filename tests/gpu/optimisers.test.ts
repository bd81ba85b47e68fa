import { optimiserSuite } from '../unit/support/optimiserSuite.ts';
import { openInNode } from '../unit/support/openInNode.ts';

optimiserSuite(() => openInNode('webgpu'), 'webgpu', 'npm test -- optimisers --only gpu');
