import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { weightSources } from '../../../src/weights/sources.ts';
import { policyHeaders } from '../../../src/serviceWorker/policy.ts';
import { nginxRecipe } from './hostingDoc.ts';

const text = readFileSync('docs/hosting.md', 'utf8');

it('the headers of the nginx recipe are those that the service worker adds', () => {
  const lines = nginxRecipe().headers.trim().split('\n');
  const headers = lines.map((line) => /^add_header (\S+) "([^"]+)" always;$/.exec(line)?.slice(1) ?? [line, '']);
  expect(Object.fromEntries(headers)).toEqual(policyHeaders);
});

it('names every network that has weights beside the page, and commands that there are', () => {
  const published = Object.entries(weightSources).filter(([, sources]) => sources.length > 0);
  for (const [architecture] of published) expect(text).toContain(`\`${architecture}.safetensors\``);
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const named = [...text.matchAll(/npm run ([\w-]+)/g)].map(([, name = '']) => name);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
  expect(new Set(named)).toContain('bundle');
});

it('leads to files that there are', () => {
  const links = [...text.matchAll(/\]\(([^)#]+)(#[^)]*)?\)/g)].map(([, path = '']) => path);
  for (const path of links.filter((link) => !link.includes('://')))
    expect([path, existsSync(join(dirname('docs/hosting.md'), path))]).toEqual([path, true]);
  const anchors = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor = '']) => anchor);
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
  for (const anchor of anchors) expect(headings).toContain(anchor);
});
