import { trainingSuite } from '../../support/trainingSuite.ts';
import { onWasm } from './onWasm.ts';

trainingSuite('resnet50', onWasm);
