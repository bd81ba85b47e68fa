/**
 * Whole networks, the measurement of the device, and convolutions with every cut into workgroups, with the kernels that a GPU gets, on
 * whatever adapter there is: a software one takes minutes to compile them, so `npm test` has one odd case of each that a GPU takes by default.
 */
import { spawnSync } from 'node:child_process';

const files = ['tests/gpu/compiled/network.test.ts', 'tests/gpu/compiled/conv.test.ts', 'tests/gpu/chooser.test.ts'];
const { status } = spawnSync('npx', ['--no-install', 'vitest', 'run', '--project', 'gpu', ...files], {
  stdio: 'inherit',
  env: { ...process.env, PACERID_ALL_STEPS: '1', PACERID_ALL_TILES: '1' },
});
process.exit(status ?? 1);
