import type { RunState } from '../../../workers/clients.ts';
import type { CurveSeries } from '../../components/charts/curve.ts';

export interface RunCurves {
  /** Epochs, fractional between their ends; the same for both charts. */
  readonly x: readonly number[];
  readonly loss: readonly CurveSeries[];
  readonly accuracy: readonly CurveSeries[];
}

/** A canvas shows no more than this of single steps; longer runs are averaged in equal stretches. */
const MOST_STEPS = 1200;

/**
 * The solid curve is the mean of each epoch (the one under way: of its steps so far), as in the table; single steps lie pale
 * behind it. Validation stands at the epochs' ends.
 */
export function runCurves(run: RunState): RunCurves {
  const perEpoch = Math.max(1, run.stepsPerEpoch);
  const points = averaged(
    run.steps.map((point) => ({ x: point.step / perEpoch, loss: point.loss, accuracy: point.accuracy })),
  );
  const rows = new Map(run.history.map((row) => [row.epoch, row]));
  const ends = new Set(points.map((point) => point.x));
  for (const epoch of rows.keys()) if (!ends.has(epoch)) points.push({ x: epoch, loss: null, accuracy: null });
  points.sort((a, b) => a.x - b.x);

  const current = run.steps.filter((point) => point.epoch === run.epoch);
  const unfinished = !rows.has(run.epoch) && current.length > 0;
  const last = points.length - 1;
  const mean = (key: 'loss' | 'accuracy') => current.reduce((sum, point) => sum + point[key], 0) / current.length;

  const series = (key: 'loss' | 'accuracy'): CurveSeries[] => {
    const train = points.map(
      (point, i) => rows.get(point.x)?.train[key] ?? (unfinished && i === last ? mean(key) : null),
    );
    const validation = points.map((point) => rows.get(point.x)?.validation?.[key] ?? null);
    return [
      { label: 'Step', token: 'accent', dashed: false, faint: true, values: points.map((point) => point[key]) },
      { label: 'Train', token: 'accent', dashed: false, faint: false, values: train },
      { label: 'Validation', token: 'warn', dashed: true, faint: false, values: validation },
    ];
  };
  return { x: points.map((point) => point.x), loss: series('loss'), accuracy: series('accuracy') };
}

interface Point {
  readonly x: number;
  readonly loss: number | null;
  readonly accuracy: number | null;
}

function averaged(points: readonly { x: number; loss: number; accuracy: number }[]): Point[] {
  const size = Math.ceil(points.length / MOST_STEPS);
  if (size <= 1) return [...points];
  const out: Point[] = [];
  for (let from = 0; from < points.length; from += size) {
    const part = points.slice(from, from + size);
    const end = part[part.length - 1];
    if (!end) continue;
    out.push({
      x: end.x,
      loss: part.reduce((sum, point) => sum + point.loss, 0) / part.length,
      accuracy: part.reduce((sum, point) => sum + point.accuracy, 0) / part.length,
    });
  }
  return out;
}
