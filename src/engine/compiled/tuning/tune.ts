import type { Graph } from '../../../graph/types.ts';
import type { StepShape } from '../../types.ts';
import type { Pipelines } from '../device/pipelines.ts';
import type { DeviceTraits, Program } from '../kernels.ts';
import { trainingPlan } from '../plan/training.ts';
import { tilingOf, type Tile } from '../wgsl/gemmTiles.ts';
import { productKernels, wgslKernels } from '../wgsl/kernels.ts';
import { alone, createBench, type Alone, type Bench } from './alone.ts';
import { candidatesOf, tilingBy, type Chosen, type CutName } from './cuts.ts';
import { measured, type Measuring, type Ready } from './measure.ts';
import { contestsOf, type Contest } from './products.ts';

/** What a step is made of, for the choice of its cuts. */
export type TunedStep = Pick<StepShape, 'images' | 'imageSize' | 'trainable' | 'recompute' | 'precision'>;

export interface Tuning extends Partial<Measuring> {
  /** What was chosen on this device before: no class of it is measured again. */
  readonly known?: Chosen;
  /** Tiles to choose from beside the default's; absent: those that gemmTiles.ts lists. */
  readonly tried?: readonly Tile[];
}

/** ms that measuring takes; compiling comes on top. */
const BUDGET = 2000;
/** ms after which no more is compiled: what isn't by then stays as it is. */
const COMPILING = 10_000;
/** Classes whose candidates are compiled together. */
const COMPILED_AT_ONCE = 8;

interface Candidate {
  readonly name: CutName | null;
  readonly alone: Alone;
}
type Contested = Contest & { readonly candidates: readonly Candidate[] };

/**
 * For every class of products of a training step, by what was known and else by a short measurement, the quickest cut. A class that is absent
 * in the result was not measured (no time, no memory, aborted). A candidate that fails is left out, and a device that fails otherwise measures
 * nothing: this never throws, but nothing else may use the device meanwhile.
 */
export async function tuned(
  device: GPUDevice,
  pipelines: Pipelines,
  traits: DeviceTraits,
  graph: Graph,
  step: TunedStep,
  { known = {}, tried, ...given }: Tuning = {},
): Promise<Record<string, CutName | null>> {
  const measuring: Measuring = {
    budget: BUDGET,
    signal: new AbortController().signal,
    tell: () => undefined,
    ...given,
  };
  const kernels = wgslKernels(traits);
  const { calls } = trainingPlan(graph, kernels, { ...step, recompute: step.recompute ?? false });
  const contests = contestsOf(calls, (call) => kernels[call.kind].cost(call as never).flops);
  const chosen: Record<string, CutName | null> = {};
  for (const { key } of contests) if (Object.hasOwn(known, key)) chosen[key] = known[key]!;
  const open = contests.filter(({ key }) => !Object.hasOwn(chosen, key)).map((one) => contested(one, traits, tried));
  for (const { key } of open.filter(({ candidates }) => candidates.length === 1)) chosen[key] = null;
  const found = await contest(
    device,
    pipelines,
    open.filter(({ candidates }) => candidates.length > 1),
    measuring,
  );
  return { ...chosen, ...Object.fromEntries(found) };
}

/** With its candidates: the default and all that do something else than those before them. */
function contested(one: Contest, traits: DeviceTraits, tried: readonly Tile[] | undefined): Contested {
  const seen = new Set<string>();
  const candidates: Candidate[] = [];
  for (const name of [null, ...candidatesOf(one.shape, tried)]) {
    const tiling = name === null ? tilingOf(traits) : tilingBy(name, traits);
    const itself = alone(one.call, productKernels(tiling));
    const doing = JSON.stringify(
      itself.works.map(({ dispatch }) => [dispatch.program.name, dispatch.integers, dispatch.workgroups]),
    );
    if (seen.has(doing)) continue;
    seen.add(doing);
    candidates.push({ name, alone: itself });
  }
  return { ...one, candidates };
}

async function contest(
  device: GPUDevice,
  pipelines: Pipelines,
  all: readonly Contested[],
  measuring: Measuring,
): Promise<Map<string, CutName | null>> {
  const none = new Map<string, CutName | null>();
  if (all.length === 0 || measuring.signal.aborted) return none;
  let bench: Bench | null = null;
  const made: Ready[] = [];
  try {
    // Errors of what is refused are heard here, and not by who takes any for the end of a run.
    const { value: compiled } = await scoped(device, () => compile(pipelines, all, measuring.signal));
    const { value, error } = await scoped(device, async () => {
      bench = await createBench(
        device,
        pipelines,
        compiled.flatMap(({ candidates }) => candidates.map((one) => one.alone)),
      );
      for (const one of compiled) made.push(await prepared(bench, one));
      // Where the default was refused its network will say why.
      const able = made.filter(({ candidates }) => candidates[0]?.name === null);
      const found = await measured(
        device,
        able.filter(({ candidates }) => candidates.length > 1),
        measuring,
      );
      // All others were refused.
      for (const { key } of able.filter(({ candidates }) => candidates.length === 1)) found.set(key, null);
      return found;
    });
    if (error !== null) throw error;
    forgetOthers(pipelines, compiled, value);
    return value;
  } catch (error) {
    // Out of memory, most likely; if the device is gone, its owner hears of it.
    console.warn(`Kernels are not chosen: ${error instanceof Error ? error.message : String(error)}`);
    return none;
  } finally {
    for (const { candidates } of made) for (const { commands } of candidates) commands.dispose();
    (bench as Bench | null)?.dispose();
  }
}

/** What lost won't run again. */
function forgetOthers(
  pipelines: Pipelines,
  all: readonly Contested[],
  chosen: ReadonlyMap<string, CutName | null>,
): void {
  const programsOf = ({ alone: { works } }: Candidate): Program[] => works.map(({ dispatch }) => dispatch.program);
  const inUse = new Set(
    all
      .flatMap(({ key, candidates }) =>
        candidates.filter(({ name }) => name === (chosen.get(key) ?? null)).flatMap(programsOf),
      )
      .map(({ name }) => name),
  );
  pipelines.forget(
    all.flatMap(({ candidates }) => candidates.flatMap(programsOf)).filter(({ name }) => !inUse.has(name)),
  );
}

/** Those of which there was time to compile the candidates, with the candidates that could be. */
async function compile(
  pipelines: Pipelines,
  all: readonly Contested[],
  signal: AbortSignal,
): Promise<readonly Contested[]> {
  const done: Contested[] = [];
  const begun = performance.now();
  for (let at = 0; at < all.length; at += COMPILED_AT_ONCE) {
    if (signal.aborted || performance.now() - begun > COMPILING) break;
    const group = all.slice(at, at + COMPILED_AT_ONCE).map(async (one) => {
      const works = await Promise.all(one.candidates.map((candidate) => compiles(pipelines, candidate)));
      return { ...one, candidates: one.candidates.filter((_, i) => works[i]) };
    });
    done.push(...(await Promise.all(group)));
  }
  return done;
}

async function compiles(pipelines: Pipelines, { alone: { works } }: Candidate): Promise<boolean> {
  const all = await Promise.allSettled(works.map(({ dispatch }) => pipelines.get(dispatch.program)));
  return all.every(({ status }) => status === 'fulfilled');
}

/** Candidates that have no room are left out. */
async function prepared(bench: Bench, { key, flops, candidates }: Contested): Promise<Ready> {
  const ready: { name: CutName | null; commands: Ready['candidates'][number]['commands'] }[] = [];
  for (const { name, alone: itself } of candidates) {
    const commands = await bench.prepare(itself).catch(() => null);
    if (commands !== null) ready.push({ name, commands });
  }
  return { key, flops, candidates: ready };
}

async function scoped<T>(
  device: GPUDevice,
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly error: Error | null }> {
  const kinds = ['validation', 'out-of-memory', 'internal'] as const;
  for (const kind of kinds) device.pushErrorScope(kind);
  const popped = async (): Promise<string[]> => {
    const errors = await Promise.all(kinds.map(() => device.popErrorScope().catch(() => null)));
    return errors.flatMap((error) => (error === null ? [] : [error.message]));
  };
  try {
    const value = await work();
    const [message] = await popped();
    return { value, error: message === undefined ? null : new Error(message) };
  } catch (error) {
    await popped();
    throw error;
  }
}
