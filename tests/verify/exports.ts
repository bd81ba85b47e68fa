/**
 * All four networks trained on the sample data set at 64 px (tiny 15 epochs, mobilenet_v3_small 60, the others 4), written as Core ML
 * package, Core ML model file, ONNX and TensorFlow.js: every file's bytes are read back and certified on the whole Test split (160
 * images; resnet50's on 40 of them), with one flip at most; then coremltools, numpy and onnxruntime judge them (`npm run judge` makes their Python).
 *
 *     npm run verify -- exports
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const folder = 'output/trained-full';
const python = '.cache/python-torch/bin/python';
const run = (command: string, args: readonly string[]): boolean =>
  spawnSync(command, args, { stdio: 'inherit' }).status === 0;

const certified = run(process.execPath, ['scripts/run.mjs', 'tests/tools/trainedExports.ts', folder, '--full']);
if (!existsSync(python)) console.log('Not judged: there is no Python for it; npm run judge makes one.');
const judged = existsSync(python) && run(python, ['tests/python/judge_trained.py', folder]);
process.exit(certified && judged ? 0 : 1);
