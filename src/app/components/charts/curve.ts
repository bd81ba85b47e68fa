import uPlot from 'uplot';
import type { ChartColours } from './theme.ts';

export interface CurveSeries {
  readonly label: string;
  /** Parallel to the chart's x; null where there is no value. */
  readonly values: readonly (number | null)[];
  readonly token: 'accent' | 'text' | 'muted' | 'warn';
  readonly dashed: boolean;
  /** Thin and pale, without a label: the single steps behind the curve of epochs. */
  readonly faint: boolean;
}

export interface CurveSpec {
  /** Epochs, fractional between their ends. */
  readonly x: readonly number[];
  readonly series: readonly CurveSeries[];
  /** Epochs of the whole run: the axis does not move while it goes on. */
  readonly xMax: number;
  readonly log: boolean;
  readonly bestEpoch: number | null;
  readonly format: (value: number) => string;
  /** As `format`, for round values on the axis. */
  readonly tick: (value: number) => string;
  /** Fixed range of y; null: of the data. */
  readonly yRange: readonly [number, number] | null;
}

/** As wide as `Validation 0.0840`. */
const LABEL_ROOM = 128;

/** uPlot's options for one set of curves: labels at the line's end, the best epoch marked, colours read at each draw. */
export function curveOptions(
  spec: () => CurveSpec,
  colours: () => ChartColours,
  size: { width: number; height: number },
  syncKey: string,
  moved: (index: number | null) => void,
): uPlot.Options {
  const grid = { stroke: () => fade(colours().line, 0.35), width: 1 };
  const axis = {
    stroke: () => colours().muted,
    font: `13px ${colours().font}`,
    grid,
    ticks: { show: false },
  };
  const first = spec();
  return {
    ...size,
    padding: [20, LABEL_ROOM, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { size: 7 },
      sync: { key: syncKey, scales: ['x', null] },
    },
    scales: {
      x: { time: false, range: () => [0, Math.max(1, spec().xMax)] },
      y: {
        distr: first.log ? 3 : 1,
        range: (_chart, low, high) => yRange(spec(), low, high),
      },
    },
    axes: [
      {
        ...axis,
        size: 28,
        gap: 4,
        grid: { show: false },
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
        space: 44,
      },
      {
        ...axis,
        size: 56,
        gap: 6,
        space: 34,
        values: (_chart, ticks) => ticks.map((tick) => (tick === null ? '' : first.tick(tick))),
      },
    ],
    series: [
      {},
      ...first.series.map((one, i): uPlot.Series => ({
        label: one.label,
        stroke: () => fade(colours()[spec().series[i]?.token ?? 'text'], one.faint ? 0.35 : 1),
        width: one.faint ? 1 : 2,
        ...(one.dashed ? { dash: [6, 4] } : {}),
        spanGaps: true,
        points: { show: false },
      })),
    ],
    hooks: {
      drawClear: [(chart) => drawBest(chart, spec(), colours())],
      draw: [(chart) => drawEnds(chart, spec(), colours())],
      setCursor: [(chart) => moved(chart.cursor.idx ?? null)],
    },
  };
}

/** Colours come as `oklch(…)` or `rgb(…)`; canvas takes `color-mix` nowhere, so paleness is an alpha of the drawing. */
function fade(colour: string, alpha: number): string {
  if (alpha === 1) return colour;
  return colour.includes('/')
    ? colour
    : colour.replace(/^rgb\(/, 'rgba(').replace(/\)$/, colour.startsWith('rgb') ? `, ${alpha})` : ` / ${alpha})`);
}

function yRange(spec: CurveSpec, low: number | null, high: number | null): [number, number] {
  if (spec.yRange) return [spec.yRange[0], spec.yRange[1]];
  if (low === null || high === null) return spec.log ? [0.1, 10] : [0, 3];
  if (!spec.log) return [0, high <= 0 ? 1 : high * 1.05];
  const bottom = Math.max(low, 1e-6);
  return [bottom / 1.4, Math.max(high, bottom * 2) * 1.2];
}

function drawBest(chart: uPlot, spec: CurveSpec, colours: ChartColours): void {
  if (spec.bestEpoch === null) return;
  const { ctx, bbox } = chart;
  const ratio = uPlot.pxRatio;
  const x = Math.round(chart.valToPos(spec.bestEpoch, 'x', true));
  ctx.save();
  ctx.strokeStyle = colours.good;
  ctx.lineWidth = ratio;
  ctx.setLineDash([2 * ratio, 3 * ratio]);
  ctx.beginPath();
  ctx.moveTo(x + 0.5, bbox.top);
  ctx.lineTo(x + 0.5, bbox.top + bbox.height);
  ctx.stroke();
  ctx.fillStyle = colours.good;
  ctx.font = `${13 * ratio}px ${colours.font}`;
  ctx.textBaseline = 'bottom';
  const text = `best: epoch ${spec.bestEpoch}`;
  const half = ctx.measureText(text).width / 2;
  ctx.textAlign = 'left';
  const left = Math.min(Math.max(x - half, bbox.left), bbox.left + bbox.width - 2 * half);
  ctx.fillText(text, left, bbox.top - 3 * ratio);
  ctx.restore();
}

/** A dot and a name at the last value of each line; names that would overlap are pushed apart. */
function drawEnds(chart: uPlot, spec: CurveSpec, colours: ChartColours): void {
  const { ctx, bbox } = chart;
  const ratio = uPlot.pxRatio;
  const ends: { y: number; x: number; text: string; colour: string; at: number }[] = [];
  for (const series of spec.series) {
    if (series.faint) continue;
    const at = series.values.findLastIndex((value) => value !== null);
    const value = series.values[at];
    if (value === undefined || value === null) continue;
    const y = chart.valToPos(value, 'y', true);
    const x = chart.valToPos(spec.x[at] ?? 0, 'x', true);
    ends.push({ y, x, at: y, text: `${series.label} ${spec.format(value)}`, colour: colours[series.token] });
  }
  ends.sort((a, b) => a.y - b.y);
  const gap = 17 * ratio;
  for (let i = 1; i < ends.length; i++) {
    const [above, below] = [ends[i - 1], ends[i]];
    if (!above || !below) continue;
    const overlap = above.at + gap - below.at;
    if (overlap > 0) {
      above.at -= overlap / 2;
      below.at += overlap / 2;
    }
  }
  const bottom = bbox.top + bbox.height - 8 * ratio;
  const excess = Math.max(0, (ends.at(-1)?.at ?? 0) - bottom);
  ctx.save();
  ctx.font = `${13 * ratio}px ${colours.font}`;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  ctx.fillStyle = colours.muted;
  ctx.fillText('epoch', bbox.left + bbox.width + 16 * ratio, bbox.top + bbox.height + 12 * ratio);
  for (const end of ends) {
    ctx.fillStyle = end.colour;
    ctx.beginPath();
    ctx.arc(end.x, end.y, 3 * ratio, 0, 2 * Math.PI);
    ctx.fill();
    ctx.fillText(end.text, Math.min(end.x, bbox.left + bbox.width) + 8 * ratio, end.at - excess);
  }
  ctx.restore();
}
