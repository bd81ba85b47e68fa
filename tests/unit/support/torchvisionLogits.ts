import type { ArchitectureName } from '../../../src/architectures/settings.ts';
import fixture from '../../fixtures/logits.json' with { type: 'json' };

export interface LogitsCase {
  readonly title: string;
  readonly architecture: ArchitectureName;
  readonly classes: number;
  /** Pixels, square. */
  readonly size: number;
  readonly images: number;
  /** `[images, classes]`, torchvision's float64 run in eval mode. */
  readonly logits: readonly number[];
  /** How far torch's own float32 run was from it. */
  readonly float32Error: number;
}

/**
 * What torchvision says for `formulaWeights(buildGraph(architecture, classes))` and `formulaImages(images, size)`.
 * Made by tests/python/make_logits.py.
 */
export const logitsCases: readonly LogitsCase[] = Object.entries(fixture).flatMap(([architecture, cases]) =>
  Object.entries(cases).map(([title, entry]) => ({
    title: `${architecture}, ${title}`,
    architecture: architecture as ArchitectureName,
    ...entry,
  })),
);
