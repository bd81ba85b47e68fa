import type { OutputSettings } from './settings.ts';
import type { Precision } from './types.ts';

/**
 * What `auto` means. MobileNetV3 loses too much in float16 (apple/coremltools#2625), mostly by the rounding of its depthwise
 * convolutions' weights, and so in a mixed precision, too: docs/correctness.md has the figures.
 */
export const precisionOf = (setting: OutputSettings['precision'], architecture: string): Precision =>
  setting === 'auto' ? (architecture === 'mobilenet_v3_small' ? 'float32' : 'float16') : setting;
