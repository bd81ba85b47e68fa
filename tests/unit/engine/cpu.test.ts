import { layersSuite, stepsSuite } from '../support/engineSuites.ts';
import { openInNode } from '../support/openInNode.ts';

// tfjs's plain JavaScript backend has none of our kernels: this is what the ops do with tfjs alone.
const open = () => openInNode('cpu');

layersSuite(open);
stepsSuite(open);
