import JSZip from 'jszip';
import { describe, expect, it } from 'vitest';
import { exportFormats, type ExportInput } from '../../../src/export/index.ts';
import { ImpossibleOperationError, UnreadableModelError } from '../../../src/parity/errors.ts';
import { interpreter } from '../../../src/parity/interpreter/index.ts';
import { readers } from '../../../src/parity/readers.ts';
import type { CertifiedFormat } from '../../../src/parity/types.ts';
import { fnv1a32, random } from '../../../src/random.ts';
import { exportInput } from '../support/exportInput.ts';
import { formulaWeights } from '../support/formulaWeights.ts';
import { graphsByHand } from '../support/graphsByHand.ts';

/** A broken file is a broken file: no reader falls over it, and none of what it makes of it makes the interpreter fall. */
const size = 16;
const labels = ['MDT - Azure', 'BOS - "Quoted", and more', 'MDT - Advisa', 'STJ - Früh', 'none'];
const formats = Object.keys(readers) as CertifiedFormat[];
const CASES = 250;

/** Only the larger weights of the network itself lie in 8 bits. */
const variants: readonly (readonly [graph: string | null, Partial<ExportInput>])[] = [
  ['squeeze and excitation of a value that others read too', { makerOutput: true }],
  ['a concatenation of an activation and of one value twice', { precision: 'float16' }],
  ['channels that fill no fours', { makerOutput: true }],
  ['an activation that is read twice', { precision: 'float16', makerOutput: true }],
  [null, { weightStorage: 'linear', precision: 'float16' }],
  [null, { weightStorage: 'palettized' }],
];

/** A file that is to be damaged, and how the whole is made of it. */
interface Part {
  readonly name: string;
  readonly bytes: Uint8Array;
  whole(damaged: Uint8Array): Promise<Uint8Array>;
}

async function partsOf(format: CertifiedFormat, graph: string | null, change: Partial<ExportInput>): Promise<Part[]> {
  const kind = exportFormats[format];
  const precision = change.precision ?? 'float32';
  const input = exportInput('tiny', labels, formulaWeights, {
    ...(graph !== null && { graph: graphsByHand[graph]! }),
    imageSize: size,
    ...change,
    precision: (kind.precisions as readonly string[]).includes(precision) ? precision : kind.precisions[0]!,
  });
  const { bytes } = await kind.write(input);
  const itself: Part = { name: 'the file', bytes, whole: (damaged) => Promise.resolve(damaged) };
  if (format === 'onnx' || format === 'mlmodel') return [itself];
  const { files } = await JSZip.loadAsync(bytes);
  const inside = Object.values(files)
    .filter(({ dir, name }) => !dir && !name.endsWith('.txt'))
    .map(async (file): Promise<Part> => {
      const whole = async (damaged: Uint8Array) => {
        const zip = await JSZip.loadAsync(bytes);
        zip.file(file.name, damaged);
        return zip.generateAsync({ type: 'uint8array' });
      };
      return { name: file.name, bytes: await file.async('uint8array'), whole };
    });
  return [itself, ...(await Promise.all(inside))];
}

type Draw = (below: number) => number;

/** Something goes wrong with some bytes: on a disk, on the way, in a program. */
function damaged(bytes: Uint8Array, draw: Draw): Uint8Array {
  const at = draw(bytes.length);
  const changed = bytes.slice();
  const spliced = (remove: number, ...insert: number[]) =>
    Uint8Array.from([...bytes.subarray(0, at), ...insert, ...bytes.subarray(at + remove)]);
  switch (draw(8)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      return spliced(1 + draw(8));
    case 2:
      return spliced(0, ...bytes.subarray(at, at + 1 + draw(64)));
    case 3:
      changed.fill([0, 0xff, 0x7f][draw(3)]!, at, at + 1 + draw(8));
      return changed;
    case 4:
      changed[at] = draw(256);
      return changed;
    default:
      changed[at]! ^= 1 << draw(8);
      return changed;
  }
}

const oddities: readonly unknown[] = [null, -1, 0, 1.5, 1e9, 1e300, '', 'x', '-1', '99999999999', [], {}, true, [[1]]];

/** JSON in which something is another thing than it was, or isn't there. */
function twisted(bytes: Uint8Array, draw: Draw): Uint8Array {
  const root: unknown = JSON.parse(new TextDecoder().decode(bytes));
  const places: (readonly [holder: Record<string, unknown>, key: string])[] = [];
  const collect = (holder: unknown): void => {
    if (typeof holder !== 'object' || holder === null) return;
    for (const [key, value] of Object.entries(holder)) {
      places.push([holder as Record<string, unknown>, key]);
      collect(value);
    }
  };
  collect(root);
  const [holder, key] = places[draw(places.length)]!;
  const which = draw(oddities.length + 2);
  if (which < oddities.length) holder[key] = oddities[which];
  else if (which === oddities.length) delete holder[key];
  else holder[key] = structuredClone(places[draw(places.length)]![0]);
  return new TextEncoder().encode(JSON.stringify(root));
}

class EnoughError extends Error {}
const pixels = new Uint8Array(size * size * 3).fill(100);

/** What becomes of a file; throws what nobody should see. */
async function fate(format: CertifiedFormat, bytes: Uint8Array): Promise<'read' | 'refused'> {
  try {
    const model = await readers[format](bytes);
    const { run } = interpreter(model);
    // A model of that size is run, for a while.
    if (model.input.width === size && model.input.height === size)
      await run(pixels, { between: () => Promise.reject(new EnoughError()) });
  } catch (error) {
    if (error instanceof UnreadableModelError || error instanceof ImpossibleOperationError) return 'refused';
    if (!(error instanceof EnoughError)) throw error;
  }
  return 'read';
}

describe.each(formats)('a damaged %s file', (format) => {
  it('is a model or a named error, wherever it is damaged', { timeout: 20_000 }, async () => {
    const { uniform } = random(20_261_126, fnv1a32(format));
    const draw: Draw = (below) => Math.floor(uniform() * below);
    const parts = (await Promise.all(variants.map(([graph, change]) => partsOf(format, graph, change)))).flat();
    for (const part of parts) expect(await fate(format, await part.whole(part.bytes))).toBe('read');
    const fates = { read: 0, refused: 0 };
    for (let nth = 0; nth < CASES; nth++) {
      const part = parts[nth % parts.length]!;
      const isJson = part.name.endsWith('.json');
      const broken = isJson && draw(4) > 0 ? twisted(part.bytes, draw) : damaged(part.bytes, draw);
      const whole = await part.whole(broken);
      try {
        fates[await fate(format, whole)]++;
      } catch (error) {
        throw new Error(`case ${nth}, ${part.name}: ${String(error)}`, { cause: error });
      }
    }
    // Both happen: there are bytes that say something and bytes that are numbers.
    expect(fates.refused).toBeGreaterThan(CASES / 4);
    expect(fates.read).toBeGreaterThan(CASES / 20);
  });
});
