/** Rewrites of a graph, each from graph to graph; an export chains them. */
export { addPreprocessing } from './addPreprocessing.ts';
export { addSoftmax } from './addSoftmax.ts';
export { divideLogits } from './divideLogits.ts';
export { dropDropout } from './dropDropout.ts';
export { foldBatchNorms } from './foldBatchNorms.ts';
