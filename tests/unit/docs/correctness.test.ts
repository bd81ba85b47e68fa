import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { changed, mutations } from '../../verify/mutations/list.ts';
import { correctnessDoc, missingFor, tableIn } from '../support/correctnessDoc.ts';

const text = readFileSync(correctnessDoc, 'utf8');
const testFiles = (readdirSync('tests', { recursive: true }) as string[])
  .filter((name) => /\.(test|spec)\.ts$/.test(name))
  .map((name) => `tests/${name}`);

describe('docs/correctness.md', () => {
  it('has no row whose error is above its tolerance', () => {
    const rows = tableIn(text, 'rows');
    expect(rows.length).toBeGreaterThan(30);
    const above = rows.filter(([, , , error, , tolerance]) => !(Number(error) <= Number(tolerance)));
    expect(above).toEqual([]);
  });

  it('has the three networks in training, all steps, on both backends', () => {
    const rows = tableIn(text, 'rows').map(([quantity, network, on]) => `${network} on ${on}: ${quantity}`);
    const quantities = [
      /: logits$/,
      /: logits in train mode$/,
      /: running statistics after a step$/,
      /: gradient, over its norm$/,
      /: gradient of each tensor, over its norm$/,
      /: gradient, head only, over its norm$/,
      /: gradient of each tensor, head only, over its norm$/,
      /: loss of 20 steps, all layers(?!.*float16)/,
      /: loss of 20 steps, head only/,
    ];
    const inFloat16 = [
      /: logits in train mode, float16$/,
      /: running statistics after a step, float16$/,
      /: loss of 20 steps, all layers.*, float16$/,
    ];
    const found = (network: string, on: string, quantity: RegExp): number =>
      rows.filter((row) => row.startsWith(`${network} on ${on}:`) && quantity.test(row)).length;
    for (const network of ['densenet121', 'resnet50', 'mobilenet_v3_small'])
      for (const on of ['wasm', 'webgpu'])
        for (const quantity of [...quantities, ...(on === 'webgpu' ? inFloat16 : [])])
          expect(found(network, on, quantity)).toBe(1);
  });

  it('names commands that are there', () => {
    const commands = new Set([...text.matchAll(/`(npm [^`]+)`/g)].map(([, command]) => command!));
    expect([...commands].flatMap((command) => missingFor(command, testFiles))).toEqual([]);
    expect(missingFor('npm test -- no-such-file', testFiles)).toHaveLength(1);
    expect(missingFor('npm run verify -- nothing', testFiles)).toHaveLength(1);
    expect(missingFor('npm run nothing', testFiles)).toHaveLength(1);
    expect(missingFor('npm run judge -- --nothing FILE', testFiles)).toHaveLength(1);
  });

  it('lists every mutation as caught', () => {
    expect(tableIn(text, 'mutations').map(([name]) => name)).toEqual(mutations.map(({ name }) => name));
  });
});

describe('mutations', () => {
  it.each(mutations)('$name: its text stands in $file once, its test is there', (mutation) => {
    const source = readFileSync(mutation.file, 'utf8');
    expect(changed(source, mutation)).not.toBe(source);
    expect(testFiles).toContain(mutation.test);
  });

  it('have names of their own', () => {
    expect(new Set(mutations.map(({ name }) => name)).size).toBe(mutations.length);
  });
});
