import type { Cuts, Engine } from '../engine/types.ts';
import type { Control } from './control.ts';
import type { Emit } from './emit.ts';
import { bytesOf, fits, stepOf, type Fit, type Wanted } from './memory.ts';
import type { TrainingSettings } from './settings.ts';
import type { Checkpoint } from './types.ts';

/**
 * How the products of this run's steps are cut: as its checkpoint says, so that it goes on to the same bits; where it begins, or goes on on
 * another device, what is the quickest there. Null: by default, as all that was trained before it. A step that fits by default and not with
 * what was chosen is made by default.
 */
export async function cutsOfRun(
  engine: Pick<Engine, 'adapter' | 'stepBytes' | 'tune'>,
  wanted: Wanted & { readonly training: Pick<TrainingSettings, 'tune'> },
  fit: Fit,
  from: Pick<Checkpoint, 'cuts'> | null,
  { emit, control }: { readonly emit: Emit; readonly control: Pick<Control, 'signal'> },
): Promise<Cuts | null> {
  const recorded = from?.cuts ?? null;
  if (!wanted.training.tune || engine.tune === undefined || (from !== null && recorded === null)) return null;
  const cuts = await engine.tune(wanted.graph, stepOf(engine.adapter, wanted, fit), {
    recorded,
    signal: control.signal,
    tell: (done, total) => emit({ type: 'progress', what: 'cuts', done, total }),
  });
  const has = (chosen: Cuts | null): boolean => fits(engine.adapter, bytesOf(engine, wanted, fit, chosen));
  return cuts !== null && (has(cuts) || !has(null)) ? cuts : null;
}
