import type { Graph } from '../../../graph/types.ts';
import type { KernelTable } from '../kernels.ts';
import { keptMatrix, type Matrix, type Memory } from '../memory.ts';
import { compile, costsOf, type CompileOptions, type Plan } from '../plan/compile.ts';
import type { FlatLayout } from '../plan/parameters.ts';
import type { Buffers } from './buffers.ts';
import { prepare, worksOf, type Commands } from './commands.ts';
import type { Pipelines } from './pipelines.ts';

/** A plan that is ready to run. */
export interface PreparedPlan {
  readonly plan: Plan;
  readonly commands: Commands;
  /** Tables of eval mode; to be run when weights have changed. */
  readonly once: Commands;
  /** Modelled, of `commands`. */
  readonly flops: number;
}

export interface PlanSettings extends Pick<
  CompileOptions,
  'trainable' | 'momentum' | 'recompute' | 'precision' | 'smoothing' | 'classWeights'
> {
  readonly graph: Graph;
  readonly layout: FlatLayout;
  readonly kernels: KernelTable;
  readonly step: Memory;
  /** A plan runs no more: what belongs to it alone can be given back. */
  readonly onForgotten: (plan: Plan) => void;
}

/** Plans of one network by mode and batch: an epoch has two sizes of batches, evaluation two more. */
export interface Plans {
  /** @throws GpuMemoryError where the device has no room for it. */
  get(mode: Plan['mode'], images: number, imageSize: number): Promise<PreparedPlan>;
  /** Whether `get` has nothing to make. */
  has(mode: Plan['mode'], images: number, imageSize: number): boolean;
  dispose(): void;
}

/** More are seldom in use; the one that was used longest ago goes. */
const MOST = 8;

export function createPlans(device: GPUDevice, pipelines: Pipelines, buffers: Buffers, settings: PlanSettings): Plans {
  const known = new Map<string, PreparedPlan>();
  const tables = new Map<string, Matrix>();
  const forget = (key: string): void => {
    const { plan, commands, once } = known.get(key)!;
    commands.dispose();
    once.dispose();
    plan.own.forEach(buffers.giveBack);
    settings.onForgotten(plan);
    known.delete(key);
  };
  const forgetAll = (): void => {
    for (const key of [...known.keys()]) forget(key);
  };

  const build = async (mode: Plan['mode'], images: number, imageSize: number): Promise<PreparedPlan> => {
    const { graph, kernels, onForgotten: _, ...options } = settings;
    const plan = compile(graph, {
      ...options,
      images,
      imageSize,
      mode,
      traits: kernels,
      keptTableOf(node, channels) {
        let table = tables.get(node);
        if (!table) tables.set(node, (table = keptMatrix(`${node} table`, 4, channels)));
        return table;
      },
    });
    // Bind groups hold on to the arena: with a larger one all are made anew.
    if (!buffers.hasRoom(plan.arena.bytes)) {
      forgetAll();
      await buffers.reserve(plan.arena.bytes);
    }
    const placeOf = buffers.placeIn(plan.arena);
    const commands = await prepare(device, pipelines, worksOf(kernels, plan.calls), placeOf);
    const once = await prepare(device, pipelines, worksOf(kernels, plan.once), placeOf);
    const flops = costsOf(plan.calls, kernels).reduce((sum, cost) => sum + cost.flops, 0);
    return { plan, commands, once, flops };
  };

  const keyOf = (mode: Plan['mode'], images: number, imageSize: number): string => `${mode} ${images} ${imageSize}`;

  return {
    has: (...which) => known.has(keyOf(...which)),
    async get(mode, images, imageSize) {
      const key = keyOf(mode, images, imageSize);
      const there = known.get(key) ?? (await build(mode, images, imageSize));
      // Last in the map: used last.
      known.delete(key);
      known.set(key, there);
      if (known.size > MOST) forget(known.keys().next().value!);
      return there;
    },
    dispose: forgetAll,
  };
}
