import type { Geometry } from '../calls.ts';
import type { Memory, Source } from '../memory.ts';
import { heldSource } from './heldSource.ts';
import type { Storage } from './shader.ts';
import { sourceCode } from './source.ts';
import { tilePart, type TilePart } from './tileGroups.ts';
import { addition } from './workgroupSum.ts';

/**
 * What a thread adds up of its results, in `part`, whose `first` and `second` become the two rows of a tile. Statements see what those of
 * the results do; `each` also `pixel`.
 */
export interface TileSums {
  readonly key: string;
  readonly storage: readonly Storage[];
  readonly memories: readonly Memory[];
  readonly integers: readonly string[];
  readonly values: readonly number[];
  readonly declarations: string;
  readonly part: TilePart;
  /** Statements that need `c4`. */
  readonly channel: string;
  /** Before the results of a tile. */
  readonly begin: string;
  /** Before one is written; may change it. `rounded`: the statement that makes it what its readers will see. */
  each(result: string, rounded: string): string;
  /** After all; `eachResult` makes statements for each that exists. */
  end(eachResult: (write: (result: string) => string) => string): string;
}

/** Mean and squared differences: of a tile's results in two passes, of tiles together after Chan, Golub & LeVeque 1979. */
export const statisticsCode: TileSums = {
  key: 'statistics',
  storage: [],
  memories: [],
  integers: [],
  values: [],
  declarations: '',
  part: tilePart(
    { count: 'f32', first: 'vec4<f32>', second: 'vec4<f32>' },
    `
  let count = a.count + b.count;
  let share = select(0.0, b.count / count, count > 0.0);
  let apart = b.first - a.first;
  return Part(count, a.first + apart * share, a.second + b.second + apart * apart * (a.count * share));`,
  ),
  channel: '',
  begin: `var count = 0.0;
  var total = vec4<f32>(0.0);`,
  each: (result, rounded) => `${rounded} count += 1.0; total += ${result}; `,
  end: (eachResult) => `let mean = total / count;
  var squares = vec4<f32>(0.0);
  ${eachResult((result) => `let apart = ${result} - mean; squares = fma(apart, apart, squares);`)}
  part = merged(part, Part(count, mean, squares));`,
};

/** Results are gradients of the source's value and become those of its z, with Σ dz and Σ dz · x̂. */
export function epilogueCode(source: Source, { height, width }: Geometry): TileSums {
  const code = sourceCode('into', source, height * width);
  const held = heldSource('into', source);
  const linear = source.activation === 'none';
  return {
    key: `into-${code.key}`,
    storage: code.storage,
    memories: code.memories,
    integers: code.integers,
    values: code.values,
    declarations: code.code,
    part: tilePart({ first: 'vec4<f32>', second: 'vec4<f32>' }, addition('first', 'second')),
    channel: `${linear ? '' : held.channel}
  ${held.hatChannel}`,
    begin: '',
    each: (result, rounded) => `
      let raw = ${held.raw('pixel')};
      ${linear ? '' : `${result} *= into_act_slope(${held.z('raw')});`}
      ${rounded}
      part.first += ${result};
      part.second = fma(${result}, ${held.hat('raw')}, part.second);
      `,
    end: () => '',
  };
}
