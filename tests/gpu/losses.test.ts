import { openInNode } from '../unit/support/openInNode.ts';
import { lossSuite } from '../unit/support/lossSuite.ts';

lossSuite(() => openInNode('webgpu'), 'webgpu', 'npm test -- losses --only gpu');
