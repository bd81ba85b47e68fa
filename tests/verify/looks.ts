/** Pictures of every view in each of its states, for eyes, and what axe-core finds in them: output/looks. */
import { spawnSync } from 'node:child_process';

const { status } = spawnSync('npx', ['--no-install', 'playwright', 'test', '--project', 'looks'], {
  stdio: 'inherit',
  env: { ...process.env, PACERID_LOOKS: '1' },
});
process.exit(status ?? 1);
