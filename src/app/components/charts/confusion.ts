import type { ChartColours } from './theme.ts';

/** One cell: row is the truth, column the prediction. */
export interface Cell {
  readonly truth: number;
  readonly predicted: number;
}

/** Side of a cell in pixels: as large as fits, never so small that a 13-px label has no row of its own. */
export function cellSide(classes: number, width: number, height: number): number {
  return Math.floor(Math.max(16, Math.min(56, width / classes, height / classes)));
}

/** Shortens in the middle: models of one series differ at their ends. `room` in CSS pixels, at 13 px type. */
export function shorten(label: string, room: number): string {
  const most = Math.max(5, Math.floor(room / 6.9));
  if (label.length <= most) return label;
  const end = Math.floor((most - 1) / 2);
  return `${label.slice(0, most - 1 - end).trimEnd()}…${label.slice(-end).trimStart()}`;
}

/** What a cell says in words: `12 of 20 images of A (60.0 %) were taken for B`. */
export function describe(confusion: readonly (readonly number[])[], labels: readonly string[], cell: Cell): string {
  const row = confusion[cell.truth] ?? [];
  const n = row[cell.predicted] ?? 0;
  const support = row.reduce((sum, value) => sum + value, 0);
  const truth = labels[cell.truth] ?? '';
  const share = support === 0 ? '' : ` (${((n / support) * 100).toFixed(1)} %)`;
  const images = `${n} of ${support} ${support === 1 ? 'image' : 'images'} of ${truth}${share}`;
  return cell.truth === cell.predicted ? `${images} recognised` : `${images} taken for ${labels[cell.predicted] ?? ''}`;
}

/** Lightness of `oklch(L C H)`, 0–1. */
function lightness(colour: string): number {
  const found = /^oklch\(([\d.]+)/.exec(colour);
  return found ? Number(found[1]) : 0.5;
}

function mixed(ground: string, fill: string, alpha: number): number {
  return (1 - alpha) * lightness(ground) + alpha * lightness(fill);
}

/** Text or surface, whichever stands out more from that lightness. */
function readableOn(ground: number, colours: ChartColours): string {
  const apart = (colour: string): number => Math.abs(lightness(colour) - ground);
  return apart(colours.text) >= apart(colours.surface) ? colours.text : colours.surface;
}

/**
 * Shades each cell by its share of the row: right answers in the accent, mistakes in the colour of failure; counts are written
 * where they fit. `ratio`: device pixels a CSS pixel.
 */
export function drawMatrix(
  canvas: HTMLCanvasElement,
  confusion: readonly (readonly number[])[],
  side: number,
  colours: ChartColours,
  active: Cell | null,
): void {
  const ratio = devicePixelRatio || 1;
  const n = confusion.length;
  canvas.width = Math.round(n * side * ratio);
  canvas.height = canvas.width;
  const ctx = canvas.getContext('2d');
  if (!ctx) return;
  ctx.scale(ratio, ratio);
  ctx.fillStyle = colours.raised;
  ctx.fillRect(0, 0, n * side, n * side);
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  ctx.font = `13px ${colours.font}`;
  confusion.forEach((row, truth) => {
    const support = row.reduce((sum, value) => sum + value, 0);
    row.forEach((value, predicted) => {
      const [x, y] = [predicted * side, truth * side];
      if (value > 0) {
        const share = value / Math.max(1, support);
        // A single mistake must still be seen, hence the floor.
        const alpha = 0.18 + 0.82 * share;
        ctx.globalAlpha = alpha;
        ctx.fillStyle = truth === predicted ? colours.accent : colours.bad;
        ctx.fillRect(x + 0.5, y + 0.5, side - 1, side - 1);
        ctx.globalAlpha = 1;
        if (side >= 9 * String(value).length + 8) {
          const fill = truth === predicted ? colours.accent : colours.bad;
          ctx.fillStyle = readableOn(mixed(colours.raised, fill, alpha), colours);
          ctx.fillText(String(value), x + side / 2, y + side / 2 + 1);
        }
      } else if (truth === predicted) {
        ctx.globalAlpha = 0.5;
        ctx.strokeStyle = colours.line;
        ctx.strokeRect(x + 1, y + 1, side - 2, side - 2);
        ctx.globalAlpha = 1;
      }
    });
  });
  ctx.strokeStyle = colours.line;
  ctx.lineWidth = 1;
  ctx.globalAlpha = 0.35;
  ctx.beginPath();
  for (let i = 0; i <= n; i++) {
    const at = Math.min(i * side, n * side - 0.5);
    ctx.moveTo(at, 0);
    ctx.lineTo(at, n * side);
    ctx.moveTo(0, at);
    ctx.lineTo(n * side, at);
  }
  ctx.stroke();
  ctx.globalAlpha = 1;
  if (active) {
    ctx.globalAlpha = 0.09;
    ctx.fillStyle = colours.text;
    ctx.fillRect(0, active.truth * side, n * side, side);
    ctx.fillRect(active.predicted * side, 0, side, n * side);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colours.text;
    ctx.lineWidth = 2;
    ctx.strokeRect(active.predicted * side + 1, active.truth * side + 1, side - 2, side - 2);
  }
}
