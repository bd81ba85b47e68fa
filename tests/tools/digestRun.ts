/** `node scripts/run.mjs tests/tools/digestRun.ts JSON`: what a run on this device comes to, to be compared with another process's. */
import { runDigest, type DigestedRun } from '../unit/training/runDigest.ts';

console.log(JSON.stringify(await runDigest(JSON.parse(process.argv[2] ?? '') as DigestedRun)));
// Dawn's threads would keep the process.
process.exit(0);
