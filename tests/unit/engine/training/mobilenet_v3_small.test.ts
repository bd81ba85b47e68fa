import { trainingSuite } from '../../support/trainingSuite.ts';
import { onWasm } from './onWasm.ts';

trainingSuite('mobilenet_v3_small', onWasm);
trainingSuite('tiny', onWasm);
