import { describe, expect, it } from 'vitest';
import { crossEntropy, weightOf } from '../../../src/engine/reference/loss.ts';
import { judged } from '../support/judged.ts';
import { lossCases, lossOf, lossSuite } from '../support/lossSuite.ts';
import { openInNode } from '../support/openInNode.ts';

const command = 'npm test -- engine/losses --only unit';

describe('wasm', () => lossSuite(() => openInNode('wasm'), 'wasm', command));

describe('loss and gradient of rows of logits, as torch', () => {
  it.each(lossCases)('%s', (name, expected) => {
    const loss = lossOf(expected);
    const largest = Math.max(...expected.rows.flatMap(({ gradient }) => gradient.flat().map(Math.abs)));
    let [apartLoss, apartGradient] = [0, 0];
    for (const { labels, logits, loss: mean, gradient } of expected.rows) {
      const classes = logits[0]!.length;
      const scale = 1 / weightOf(Int32Array.from(labels), loss);
      // A part has the scale of its batch: cut anywhere, the parts are the whole.
      for (let at = 0; at < labels.length; at++) {
        const parts = [
          [0, at],
          [at, labels.length],
        ].map(([from, to]) =>
          crossEntropy(
            Float32Array.from(logits.slice(from, to).flat()),
            Int32Array.from(labels.slice(from, to)),
            classes,
            scale,
            loss,
          ),
        );
        const found = parts.reduce((sum, part) => sum + part.sum, 0) * scale;
        apartLoss = Math.max(apartLoss, Math.abs(found / mean - 1));
        const slopes = parts.flatMap((part) => [...part.gradient]);
        expect(slopes).toHaveLength(gradient.flat().length);
        for (const [i, slope] of gradient.flat().entries())
          apartGradient = Math.max(apartGradient, Math.abs(slopes[i]! - slope) / largest);
      }
    }
    const { spread } = expected;
    const row = { network: '–', on: 'processor', tolerance: 1e-6, command };
    judged({ ...row, quantity: `loss of rows of logits, ${name}`, error: apartLoss, spread: spread['loss']! });
    const quantity = `gradient of rows of logits, over the largest, ${name}`;
    judged({ ...row, quantity, error: apartGradient, spread: spread['gradient']! });
  });

  it('a class that counts nothing more than another: no weights and equal weights are one', () => {
    const logits = Float32Array.from([0.5, -1, 2, 0, 1, 1]);
    const labels = Int32Array.of(2, 0);
    const [plain, equal] = [null, [3, 3, 3]].map((classWeights) => {
      const loss = { smoothing: 0.1, classWeights };
      const weight = weightOf(labels, loss);
      const { sum, gradient } = crossEntropy(logits, labels, 3, 1 / weight, loss);
      return [sum / weight, ...gradient];
    }) as [number[], number[]];
    for (const [i, value] of plain.entries()) expect(equal[i]).toBeCloseTo(value, 6);
  });

  it('a logit of −∞ that is no label’s costs nothing without smoothing, and everything with it', () => {
    const of = (smoothing: number) =>
      crossEntropy(Float32Array.of(1, -Infinity), Int32Array.of(0), 2, 1, { smoothing, classWeights: null }).sum;
    expect(of(0)).toBe(0);
    expect(of(0.1)).toBe(Infinity);
  });
});
