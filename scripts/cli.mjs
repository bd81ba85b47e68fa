#!/usr/bin/env node
/** `node scripts/cli.mjs COMMAND args…`: the headless face, src/cli/main.ts. `npm run train -- …` and its like come here. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.argv.splice(2, 0, join(root, 'src/cli/main.ts'));
await import('./run.mjs');
