/**
 * Whole networks, and the measurement of the device, with the kernels that a GPU gets, on whatever adapter there is: a software one takes minutes to compile them, so
 * `npm test` leaves them to the tests of single kernels.
 */
import { spawnSync } from 'node:child_process';

const files = ['tests/gpu/compiled/network.test.ts', 'tests/gpu/chooser.test.ts'];
const { status } = spawnSync('npx', ['--no-install', 'vitest', 'run', '--project', 'gpu', ...files], {
  stdio: 'inherit',
  env: { ...process.env, PACERID_ALL_STEPS: '1' },
});
process.exit(status ?? 1);
