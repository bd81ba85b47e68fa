#!/usr/bin/env node
/** `npm run bench -- NAME`: the measurements; `--list` shows them. Their dated results stand in docs/benchmarks.md. */
import { runNamed } from './named.mjs';

runNamed('bench', 'tests/bench');
