/**
 * Next month's images into last month's model: v1.0.0 without one class, v1.1.0 with it and more images of all; what was known is
 * kept, the new class is learnt, in fewer steps than from scratch. All by the headless commands, on wasm; a few minutes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { epochsTo } from './headless/retrained.ts';
import { NEW_CLASS, percent, retrain } from './headless/retraining.ts';

const home = mkdtempSync(join(tmpdir(), 'pacerid-retraining-'));
const sample = { seed: 7, classes: 8, train_per_class: 60, test_per_class: 20, size: 128 };
const started = performance.now();
try {
  const result = await retrain(
    home,
    {
      first: sample,
      more: { ...sample, seed: 107, train_per_class: 15, test_per_class: 5 },
      epochs: { first: 15, retrained: 10, scratch: 15 },
      settings: ['--config', resolve('configs/sample.yaml'), '--set', 'training.device=wasm'],
    },
    console.log,
  );
  const { first, retrained, scratch, old, newClass, keptTest } = result;
  console.log(`\nversions diff v1.0.0 v1.1.0\n${result.diff}`);

  const steps = (target: number, run: typeof retrained): number | null => {
    const epochs = epochsTo(target, run.epochs);
    return epochs === null ? null : epochs * run.stepsPerEpoch;
  };
  console.log('Steps to reach a validation accuracy, on the same images:   retrained   from scratch');
  for (const target of [0.8, 0.9, 0.95, 0.98]) {
    const [a, b] = [steps(target, retrained), scratch && steps(target, scratch)];
    console.log(
      `${percent(target).padStart(12)} ${String(a ?? 'never').padStart(56)} ${String(b ?? 'never').padStart(14)}`,
    );
  }
  console.log(
    `Loss of the very first step: ${retrained.firstLoss.toFixed(3)}, from scratch ${scratch?.firstLoss.toFixed(3)}`,
  );
  const { n, onlyOld, onlyNew, p } = old.paired;
  console.log(`Test images of v1.0.0 (${n}): v1.0.0 ${percent(old.before)}, v1.1.0 ${percent(old.after)}`);
  console.log(
    `  only v1.0.0 right: ${onlyOld}, only v1.1.0 right: ${onlyNew}; exact McNemar, one-sided: p = ${p.toFixed(3)}`,
  );
  console.log(`${NEW_CLASS}: ${percent(newClass.recall)} of ${newClass.n} Test images`);
  console.log(`Images: ${JSON.stringify(first.counts)}, then ${JSON.stringify(retrained.counts)}`);
  console.log(`Of ${keptTest.of} Test images ${keptTest.stillTest} are Test images still.`);
  for (const warning of retrained.warnings) console.log(`Warning: ${warning}`);

  const [target, limit] = [0.95, scratch && steps(0.95, scratch)];
  const needed = steps(target, retrained);
  const claims: [string, boolean][] = [
    ['every Test image of v1.0.0 is a Test image of v1.1.0', keptTest.stillTest === keptTest.of && n === keptTest.of],
    ['v1.1.0 is not worse on them beyond noise (p ≥ 0.05)', p >= 0.05],
    ['the new class is learnt (over 80 %)', newClass.recall > 0.8],
    [`${percent(target)} in fewer steps than from scratch`, needed !== null && needed < (limit ?? Infinity)],
    ['both ran with the same split', JSON.stringify(retrained.counts) === JSON.stringify(scratch?.counts)],
  ];
  for (const [claim, holds] of claims) console.log(`${holds ? '✓' : '✗'} ${claim}`);
  console.log(`${((performance.now() - started) / 1000).toFixed(0)} s`);
  process.exitCode = claims.every(([, holds]) => holds) ? 0 : 1;
} finally {
  rmSync(home, { recursive: true, force: true });
}
process.exit();
