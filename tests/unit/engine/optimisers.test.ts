import { optimiserSuite } from '../support/optimiserSuite.ts';
import { openInNode } from '../support/openInNode.ts';
import { describe } from 'vitest';

const command = 'npm test -- engine/optimisers --only unit';

describe('wasm', () => optimiserSuite(() => openInNode('wasm'), 'wasm', command));
// tfjs's ops alone, as on WebGL.
describe('cpu', () => optimiserSuite(() => openInNode('cpu'), 'processor', command));
