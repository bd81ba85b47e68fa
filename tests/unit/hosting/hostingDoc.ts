import { readFileSync } from 'node:fs';

/** The nginx recipe of docs/hosting.md, word for word: the server block, and the headers that it may include. */
export function nginxRecipe(): { readonly server: string; readonly headers: string } {
  const text = readFileSync('docs/hosting.md', 'utf8');
  const [server, headers, ...others] = [...text.matchAll(/^```nginx\n([\s\S]*?)^```$/gm)].map(
    ([, block = '']) => block,
  );
  if (server === undefined || headers === undefined || others.length > 0)
    throw new Error('docs/hosting.md has two nginx blocks: the server, and its headers.');
  return { server, headers };
}
