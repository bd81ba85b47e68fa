import { describe, expect, it, vi } from 'vitest';
import { createControl } from '../../../src/training/control.ts';

describe('the gate between steps', () => {
  it('lets commands in that came as messages while a step ran', async () => {
    const control = createControl();
    setImmediate(() => control.stop());
    let answer = 'go';
    for (let i = 0; i < 1000 && answer === 'go'; i++) answer = await control.gate();
    expect(answer).toBe('stop');
  });

  it('waits while paused, says so once, and goes on', async () => {
    const control = createControl();
    control.onPause = vi.fn();
    control.onContinue = vi.fn();
    control.pause();
    let passed = false;
    const gate = control.gate().then((answer) => {
      passed = true;
      return answer;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(passed).toBe(false);
    control.continue();
    expect(await gate).toBe('go');
    expect(control.onPause).toHaveBeenCalledOnce();
    expect(control.onContinue).toHaveBeenCalledOnce();
  });

  it('a stop ends a pause', async () => {
    const control = createControl();
    control.pause();
    const gate = control.gate();
    await new Promise((resolve) => setTimeout(resolve, 20));
    control.stop();
    expect(await gate).toBe('stop');
  });
});
