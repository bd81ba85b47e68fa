import { expect, it } from 'vitest';
import { storedByNewer } from '../../../src/workers/storedByNewer.ts';

const found = (datasets: number, runs: number, weights: number, versions: readonly string[]) =>
  storedByNewer({
    datasets: { newer: () => Promise.resolve(datasets) },
    runs: { newer: () => Promise.resolve(runs) },
    weights: { newer: () => Promise.resolve(weights) },
    versions: { newer: () => Promise.resolve([...versions]) },
  });

it('what newer pages stored is one sentence, whatever it is', async () => {
  expect(await found(0, 0, 0, [])).toBeNull();
  expect(await found(0, 1, 0, [])).toMatchObject({
    name: 'StoredByNewerError',
    message: '1 run on this computer was stored by a newer version of this page, and this one cannot read it.',
    kept: 'It was left as it is: nothing of it is changed or deleted here.',
  });
  expect((await found(1, 2, 0, []))?.message).toMatch(/^1 data set and 2 runs on this computer were stored/);
  expect((await found(1, 2, 1, ['v2.0.0']))?.message).toMatch(/^1 data set, 2 runs, 1 version and 1 weights file on/);
});
