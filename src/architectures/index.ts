import { withBatchNormEps } from '../graph/batchNormEps.ts';
import type { Graph } from '../graph/types.ts';
import { architecture as densenet121 } from './densenet121/index.ts';
import { architecture as mobilenetV3Small } from './mobilenet_v3_small/index.ts';
import { architecture as resnet50 } from './resnet50/index.ts';
import type { ArchitectureName } from './settings.ts';
import { architecture as tiny } from './tiny/index.ts';
import type { Architecture } from './types.ts';

export type { Architecture } from './types.ts';

/** Every backbone, by its name in the configuration, in the order in which the page offers them. */
export const architectures: Readonly<Record<ArchitectureName, Architecture>> = {
  densenet121,
  resnet50,
  mobilenet_v3_small: mobilenetV3Small,
  tiny,
};

export interface GraphOptions {
  /** Of weights that were trained with another eps than the backbone's own; null or absent: its own. */
  readonly batchNormEps?: number | null | undefined;
}

/** The training graph of a backbone with a head for `classes` classes. */
export function buildGraph(name: ArchitectureName, classes: number, { batchNormEps }: GraphOptions = {}): Graph {
  return withBatchNormEps(architectures[name].build(classes), batchNormEps);
}
