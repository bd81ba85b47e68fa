import type { OutputSettings } from './settings.ts';
import type { Precision } from './types.ts';

/** What `auto` means: MobileNetV3's gates lose too much in float16 (apple/coremltools#2625; docs/correctness.md). */
export const precisionOf = (setting: OutputSettings['precision'], architecture: string): Precision =>
  setting === 'auto' ? (architecture === 'mobilenet_v3_small' ? 'float32' : 'float16') : setting;
