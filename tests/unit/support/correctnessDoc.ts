import { existsSync, readFileSync } from 'node:fs';
import type { Judged } from './judged.ts';

export const correctnessDoc = 'docs/correctness.md';

/** A part of the document that a command writes: between `<!-- NAME -->` and `<!-- end of NAME -->`. */
export type Written = 'rows' | 'mutations';

const marks = (part: Written): [string, string] => [`<!-- ${part} -->\n`, `\n<!-- end of ${part} -->`];

function places(text: string, part: Written): [number, number] {
  const [begin, end] = marks(part);
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${correctnessDoc} has no place for its ${part}.`);
  return [from + begin.length, to];
}

export function withWritten(text: string, part: Written, content: string): string {
  const [from, to] = places(text, part);
  return `${text.slice(0, from)}\n${content.trim()}\n${text.slice(to)}`;
}

/** Cells of the tables in that part, their heads left out. */
export function tableIn(text: string, part: Written): string[][] {
  const lines = text.slice(...places(text, part)).split('\n');
  const isRow = (line: string | undefined): boolean => line?.startsWith('|') === true;
  return lines
    .filter((line, i) => isRow(line) && isRow(lines[i - 1]) && isRow(lines[i - 2]))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

export function asTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export const rowHead = [
  'Quantity',
  'Network',
  'On',
  'Largest error',
  'float32 of torch',
  'Tolerance',
  'Command',
] as const;

export function rowOf({ quantity, network, on, error, spread, tolerance, command }: Judged): string[] {
  return [
    quantity,
    network,
    on,
    digits(error),
    spread === undefined ? '–' : digits(spread),
    digits(tolerance),
    `\`${command}\``,
  ];
}

/** Two digits; what is printed is never below what was found. */
function digits(value: number): string {
  if (value === 0 || Number.isInteger(value)) return String(value);
  const power = 10 ** (Math.floor(Math.log10(Math.abs(value))) - 1);
  const rounded = Math.ceil(value / power - 1e-9) * power;
  return rounded >= 0.01 ? String(Number(rounded.toPrecision(2))) : rounded.toExponential(1).replace('.0e', 'e');
}

/** The file names that a command of the document needs, none of which is there; empty where it can be run. */
export function missingFor(command: string, testFiles: readonly string[]): string[] {
  if (command === 'npm test') return [];
  const test = /^npm test -- (\S+)( --only [\w,]+)?$/.exec(command);
  if (test) return testFiles.some((file) => file.includes(test[1]!)) ? [] : [`a test file with “${test[1]}”`];
  const verify = /^npm run verify -- ([\w-]+)/.exec(command);
  if (verify) {
    const file = `tests/verify/${verify[1]}.ts`;
    return existsSync(file) ? [] : [file];
  }
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const [, script, option] = /^npm run ([\w:-]+)(?: -- --(\w+) [A-Z]+)?$/.exec(command) ?? [];
  const run = script === undefined ? undefined : scripts[script];
  const [file] = /\S+\.mjs/.exec(run ?? '') ?? [];
  const knows = option === undefined || (file !== undefined && readFileSync(file, 'utf8').includes(`${option}: {`));
  return run !== undefined && knows ? [] : [`the command “${command}”`];
}
