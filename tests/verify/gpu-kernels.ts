/**
 * Whole networks, and the measurement of the device, with the kernels that a GPU gets, on whatever adapter there is: a software one takes
 * minutes to compile them, so `npm test` has one odd case of each that a GPU takes by default. `--tiles`: convolutions with every cut into
 * workgroups, all cases, too (seconds on a GPU; on lavapipe more than twenty minutes).
 *
 *     npm run verify -- gpu-kernels [--tiles]
 */
import { spawnSync } from 'node:child_process';

const tiles = process.argv.includes('--tiles');
const files = ['network', ...(tiles ? ['conv'] : [])].map((name) => `tests/gpu/compiled/${name}.test.ts`);
const { status } = spawnSync(
  'npx',
  ['--no-install', 'vitest', 'run', '--project', 'gpu', ...files, 'tests/gpu/chooser.test.ts'],
  {
    stdio: 'inherit',
    env: { ...process.env, PACERID_ALL_STEPS: '1', ...(tiles && { PACERID_ALL_TILES: '1' }) },
  },
);
process.exit(status ?? 1);
