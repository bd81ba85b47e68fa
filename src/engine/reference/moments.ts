import type { Weights } from '../../graph/types.ts';
import { dataOf, downloaded, replaced, type DeviceParameters } from './parameters.ts';

/** Adam's moments of the trained parameters, under torch's names. */
export async function readMoments(parameters: DeviceParameters): Promise<Weights> {
  const entries = [...parameters.all.values()].flatMap((p) =>
    p.moments
      ? [
          downloaded(p, p.moments.first).then((tensor) => [`${p.spec.name}.exp_avg`, tensor] as const),
          downloaded(p, p.moments.second).then((tensor) => [`${p.spec.name}.exp_avg_sq`, tensor] as const),
        ]
      : [],
  );
  return new Map(await Promise.all(entries));
}

/** @throws Error where a trained parameter's moments are missing or have another shape. */
export function writeMoments(parameters: DeviceParameters, moments: Weights): void {
  for (const p of parameters.all.values()) {
    if (!p.moments) continue;
    p.moments = {
      first: replaced(p.moments.first, p, dataOf(moments, `${p.spec.name}.exp_avg`, p.spec)),
      second: replaced(p.moments.second, p, dataOf(moments, `${p.spec.name}.exp_avg_sq`, p.spec)),
    };
  }
}
