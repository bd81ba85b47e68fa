/** `node scripts/run.mjs tests/tools/renameTimmWeights.ts TIMM.safetensors OUT.safetensors`: for tests/python/judge_timm_names.py. */
import { readFileSync, writeFileSync } from 'node:fs';
import { buildGraph } from '../../src/architectures/index.ts';
import { matchWeights } from '../../src/weights/match.ts';
import { readSafetensors, writeSafetensors } from '../../src/weights/safetensors.ts';
import { fromTimmMobilenet } from '../../src/weights/timmMobilenet.ts';

const [timmPath, outPath] = process.argv.slice(-2) as [string, string];
const file = fromTimmMobilenet(readSafetensors(readFileSync(timmPath)));
const graph = buildGraph('mobilenet_v3_small', 1000);
// The file's own head stands in for the new one, so that the logits can be compared.
const { weights } = matchWeights(
  { ...file, labels: null },
  { graph, labels: null, initialHead: file.tensors, candidates: [] },
);
writeFileSync(outPath, writeSafetensors(weights));
