import type { Conv2dNode } from './types.ts';

/** One filter a channel. */
export function isDepthwise(node: Conv2dNode): boolean {
  return node.groups > 1 && node.groups === node.inChannels && node.groups === node.outChannels;
}
