import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildGraph } from '../../../src/architectures/index.ts';
import { weightStore } from '../../../src/platform/node/weightStore.ts';
import type { Part } from '../../../src/weights/types.ts';
import { firstWeights } from '../../../src/workers/firstWeights.ts';
import { config } from './computer.ts';

it('a random start lets go of what a download that gave up had brought', async () => {
  const part: Part = {
    chunks: [new Uint8Array(9)],
    done: 9,
    total: 10,
    etag: null,
    modified: null,
    resumable: true,
    pieces: 1,
  };
  const parts = new Map([['https://example.org/half', part]]);
  const cache = weightStore(mkdtempSync(join(tmpdir(), 'first-')));
  const platform = { cache, base: null, fetch, parts, now: () => 0 };
  const graph = buildGraph('tiny', 2);
  const random = { ...config, model: { ...config.model, pretrained: false } };
  const wanted = { config: random, graph, weightsId: null, labels: ['a', 'b'] };
  expect((await firstWeights(wanted, platform, () => undefined)).origin.kind).toBe('random');
  expect(parts.size).toBe(0);
});
