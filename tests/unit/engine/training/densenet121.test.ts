import { trainingSuite } from '../../support/trainingSuite.ts';
import { onWasm } from './onWasm.ts';

trainingSuite('densenet121', onWasm);
