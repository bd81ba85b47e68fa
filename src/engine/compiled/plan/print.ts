import type { Graph } from '../../../graph/types.ts';
import { inferShapes } from '../../../graph/shapes.ts';
import type { Call } from '../calls.ts';
import { bytesEach, bytesOf, type View } from '../memory.ts';
import type { TraitsTable } from '../kernels.ts';
import { aliveBytes, livesOf } from './arena.ts';
import { costsOf, type Plan } from './compile.ts';

/** What a plan does for one node of the graph. */
export interface PlannedLayer {
  readonly node: string;
  /** Of what the node gives, `[N,H,W,C]` or `[N,C]`, as the graph has it. */
  readonly shape: readonly number[];
  readonly forward: readonly Call['kind'][];
  readonly backward: readonly Call['kind'][];
  readonly flops: number;
  /** Read and written, by the kernels' models. */
  readonly bytes: number;
  /** Written by its calls. */
  readonly written: number;
  /** The most arena memory that lives during one of its calls, bytes; 0 without a call. */
  readonly alive: number;
}

export interface PlanDescription {
  readonly layers: readonly PlannedLayer[];
  readonly calls: number;
  readonly flops: number;
  readonly bytes: number;
  readonly written: number;
  /** Where most memory lives at once. */
  readonly peak: {
    /** From 0; −1: the input alone. */
    readonly call: number;
    readonly node: string;
    readonly kind: string;
    readonly backward: boolean;
    readonly bytes: number;
    /** What lives there, the largest first. */
    readonly memories: readonly { readonly name: string; readonly bytes: number }[];
  };
  readonly arenaBytes: number;
}

/** A plan in figures, node by node in the order of the graph. */
export function describePlan(graph: Graph, plan: Plan, traits: TraitsTable): PlanDescription {
  const { calls, backwardFrom, images, input, reduced, output } = plan;
  const lives = livesOf(calls, [input, reduced], [output.matrix]);
  const alive = aliveBytes(lives, calls.length);
  const costs = costsOf(calls, traits);
  const shapes = inferShapes(graph, plan.imageSize);
  const layers = graph.nodes.map(({ name }): PlannedLayer => {
    const own = calls.flatMap(({ call }, i) => (call.node === name ? [{ call, i }] : []));
    const kinds = (which: (i: number) => boolean): Call['kind'][] =>
      own.filter(({ i }) => which(i)).map(({ call }) => call.kind);
    return {
      node: name,
      shape: [images, ...shapes.get(name)!],
      forward: kinds((i) => i < backwardFrom),
      backward: kinds((i) => i >= backwardFrom),
      flops: own.reduce((sum, { i }) => sum + costs[i]!.flops, 0),
      bytes: own.reduce((sum, { i }) => sum + costs[i]!.bytes, 0),
      written: own.reduce((sum, { call }) => sum + writtenBytes(call), 0),
      alive: own.reduce((most, { i }) => Math.max(most, alive[i]!), 0),
    };
  });
  const total = (of: 'flops' | 'bytes'): number => costs.reduce((sum, cost) => sum + cost[of], 0);
  const before = bytesOf(input) + bytesOf(reduced);
  const most = alive.reduce((max, bytes) => Math.max(max, bytes), 0);
  const at = most >= before ? alive.indexOf(most) : -1;
  const there = calls[at]?.call;
  return {
    layers,
    calls: calls.length,
    flops: total('flops'),
    bytes: total('bytes'),
    written: calls.reduce((sum, { call }) => sum + writtenBytes(call), 0),
    peak: {
      call: at,
      node: there?.node ?? 'input',
      kind: there?.kind ?? 'input',
      backward: at >= backwardFrom,
      bytes: Math.max(most, before),
      memories: lives
        .filter(({ first, last }) => first <= at && last >= at)
        .map(({ memory }) => ({ name: memory.name, bytes: bytesOf(memory) }))
        .sort((a, b) => b.bytes - a.bytes),
    },
    arenaBytes: plan.arena.bytes,
  };
}

/** Bytes that a call leaves in memory for others; scratch isn't among them. */
export function writtenBytes(call: Call): number {
  const view = 'out' in call && call.out ? viewBytes(call.out) : 0;
  const statistics = 'statistics' in call ? 4 * (call.statistics?.matrix.floats ?? 0) : 0;
  const sums = 'epilogue' in call ? 4 * (call.epilogue?.sums.matrix.floats ?? 0) : 0;
  switch (call.kind) {
    case 'convFilterGradient':
      return 4 * call.kernel ** 2 * call.source.view.channels * call.dy.channels;
    case 'depthwiseFilterGradient':
      return 4 * call.kernel ** 2 * call.dy.channels;
    case 'sliceSums':
      return 4 * call.filters.reduce((sum, { floats }) => sum + floats, 0);
    case 'columnSums':
      return 4 * call.dy.channels;
    case 'statistics':
      return bytesOf(call.partials.matrix);
    case 'normTableOfBatch':
      // Moments and running statistics are of two rows.
      return 4 * (call.table.floats + 2 * (call.fresh?.channels ?? 0) + 2 * call.table.channels);
    case 'normTableOfRunning':
      return bytesOf(call.table);
    case 'normBackward':
      return 4 * (4 + 2) * call.coefficients.channels;
    case 'activationBackward':
      return view + 4 * (call.sums?.matrix.floats ?? 0);
    case 'maxPoolBackward':
    case 'avgPoolBackward':
      return viewBytes(call.gradient);
    case 'crossEntropy':
      return viewBytes(call.gradient) + 4 * call.rows;
    default:
      return view + statistics + sums;
  }
}

function viewBytes(view: View): number {
  return bytesEach(view) * view.matrix.rows * view.channels;
}

/** As a table for a terminal. */
export function printPlan(description: PlanDescription): string {
  const { layers, calls, peak, arenaBytes } = description;
  const rows = layers
    .filter(({ forward, backward }) => forward.length + backward.length > 0)
    .map(({ node, shape, forward, backward, flops, bytes, written, alive }) => [
      node,
      shape.join('×'),
      `${forward.length}+${backward.length}`,
      giga(flops),
      mega(bytes),
      mega(written),
      mega(alive) + (alive === peak.bytes ? ' ◂' : '  '),
      `${inWords(forward)} | ${inWords(backward)}`,
    ]);
  const heads = ['Layer', 'Gives', 'Calls', 'GFLOP', 'MB moved', 'MB written', 'MB alive  ', 'Forward | backward'];
  const all = [
    'All',
    '',
    `${calls}`,
    giga(description.flops),
    mega(description.bytes),
    mega(description.written),
    '',
    '',
  ];
  const table = [heads, ...rows, all];
  const widths = heads.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const isText = (column: number): boolean => column < 2 || column === heads.length - 1;
  const lines = table.map((row) =>
    row
      .map((cell, column) => (isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
  const over = peak.bytes === 0 ? 0 : (100 * (arenaBytes - peak.bytes)) / peak.bytes;
  return [
    ...lines,
    '',
    `Most memory at once: ${mega(peak.bytes)} MB at call ${peak.call} of ${calls}, ${peak.kind} of ${peak.node} ` +
      `(${peak.backward ? 'backward' : 'forward'}). The arena has ${mega(arenaBytes)} MB, ${over.toFixed(1)} % above it.`,
    'What lives there:',
    ...peak.memories.slice(0, LARGEST).map(({ name, bytes }) => `  ${mega(bytes).padStart(8)} MB  ${name}`),
    ...(peak.memories.length > LARGEST ? [`  and ${peak.memories.length - LARGEST} smaller ones`] : []),
  ].join('\n');
}

const LARGEST = 12;

/** `conv, normTableOfBatch ×2`. */
function inWords(kinds: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => (count === 1 ? kind : `${kind} ×${count}`)).join(', ') || '–';
}

function giga(flops: number): string {
  return (flops / 1e9).toFixed(3);
}

function mega(bytes: number): string {
  return (bytes / 1e6).toFixed(2);
}
