import { describe, expect, it } from 'vitest';
import { FIRST_LOSS_SCALE, lossScaleAfter } from '../../../../src/engine/compiled/lossScale.ts';

/** torch.amp.GradScaler with its defaults: init_scale 2^16, growth_factor 2, backoff_factor 0.5, growth_interval 2000. */
describe('the loss scale', () => {
  const after = (steps: number, finite = true, from = FIRST_LOSS_SCALE) =>
    Array.from({ length: steps }).reduce<typeof from>((state) => lossScaleAfter(state, finite), from);

  it('begins at 65,536 and doubles after 2,000 good steps', () => {
    expect(FIRST_LOSS_SCALE.scale).toBe(65536);
    expect(after(1999).scale).toBe(65536);
    expect(after(2000)).toEqual({ scale: 131072, good: 0, skipped: 0 });
    expect(after(4000).scale).toBe(262144);
  });
  it('halves with every skipped step, and counts good ones anew', () => {
    const skipped = lossScaleAfter(after(1999), false);
    expect(skipped).toEqual({ scale: 32768, good: 0, skipped: 1 });
    expect(after(3, false).scale).toBe(8192);
    expect(after(1999, true, skipped)).toEqual({ scale: 32768, good: 1999, skipped: 0 });
    expect(after(2000, true, skipped).scale).toBe(65536);
  });
});
