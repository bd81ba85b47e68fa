import { layersSuite, logitsSuite, nanSuite, stepsSuite } from '../support/engineSuites.ts';
import { openInNode } from '../support/openInNode.ts';

const open = () => openInNode('wasm');

layersSuite(open);
stepsSuite(open);
nanSuite(open);
logitsSuite(open);
