#!/usr/bin/env node
/** `npm run verify -- NAME`: the long proofs; `--list` shows them. Their dated results stand in docs/benchmarks.md. */
import { runNamed } from './named.mjs';

runNamed('verify', 'tests/verify');
