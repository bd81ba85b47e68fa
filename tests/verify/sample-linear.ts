/** A linear model on the sample's pixels stays below 60 % on Test: scikit-learn's logistic regression, several strengths. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const zip = join(tmpdir(), `pacerid-sample-${process.pid}.zip`);
const run = (command: string, args: string[]): void => {
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
};
const own = '.cache/python/bin/python';
run(process.execPath, ['scripts/run.mjs', 'tests/tools/writeSample.ts', zip]);
run(process.env.PYTHON ?? (existsSync(own) ? own : 'python3'), ['tests/python/linear_baseline.py', zip]);
