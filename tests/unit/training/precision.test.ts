import { describe, expect, it } from 'vitest';
import { describeProcessor } from '../../../src/engine/adapter.ts';
import type { AdapterReport } from '../../../src/engine/types.ts';
import { readCheckpoint, writeCheckpoint } from '../../../src/training/checkpoint.ts';
import { NotANumberError } from '../../../src/training/errors.ts';
import { nanGuard } from '../../../src/training/handlers/nanGuard.ts';
import { fallbackInWords, precisionOn } from '../../../src/training/precision.ts';
import { withLaterSettings } from '../../../src/training/settings.ts';
import { checkpointOf } from '../registry/support.ts';

const wasm = describeProcessor('wasm', { count: 1, notice: null }, null);
const gpu = (...features: string[]): AdapterReport => ({ ...wasm, backend: 'webgpu', label: 'Iris', features });
const half = { precision: 'float16' } as const;

describe('training.precision float16', () => {
  it('is what a graphics processor that has it trains in; elsewhere float32, and a sentence says so', () => {
    expect(precisionOn(gpu('shader-f16'), half)).toBe('float16');
    expect(fallbackInWords(gpu('shader-f16'), half)).toBeNull();
    for (const [adapter, name] of [
      [gpu('subgroups'), 'Iris'],
      [wasm, 'WebAssembly, SIMD, 1 thread'],
    ] as const) {
      expect(precisionOn(adapter, half)).toBe('float32');
      expect(fallbackInWords(adapter, half)).toContain(`which ${name} cannot do: this run trains in float32`);
      expect(fallbackInWords(adapter, { precision: 'float32' })).toBeNull();
    }
    expect(precisionOn(gpu('shader-f16'), { precision: 'float32' })).toBe('float32');
  });

  it('is float32 in what was stored before there was a choice', () => {
    expect(
      withLaterSettings<{ training?: { precision?: 'float32' | 'float16' } }>({ training: {} }).training,
    ).toMatchObject({ precision: 'float32' });
  });

  it('keeps its loss scale in a checkpoint; older ones have none', () => {
    const checkpoint = checkpointOf(1);
    expect(readCheckpoint(writeCheckpoint(checkpoint)).optimiser).not.toHaveProperty('lossScale');
    const lossScale = { scale: 2 ** 14, good: 1234, skipped: 1 };
    const optimiser = { ...checkpoint.optimiser, lossScale };
    expect(readCheckpoint(writeCheckpoint({ ...checkpoint, optimiser })).optimiser.lossScale).toEqual(lossScale);
  });
});

it('a step that float16 skipped doesn’t end a run, whatever its loss was', async () => {
  const guard = nanGuard(
    () => Promise.resolve(new Map()),
    0.1,
    () => null,
  );
  const batch = { n: 1, labels: Int32Array.of(0) };
  const step = { loss: Number.NaN, logits: new Float32Array(2), epoch: 1, step: 1, batch, seconds: 1 };
  await guard.stepEnded!({ ...step, skipped: true });
  expect(() => guard.stepEnded!(step)).toThrow(NotANumberError);
});
