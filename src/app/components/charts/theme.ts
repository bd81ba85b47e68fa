import { colour } from '../../tokens.ts';

const tokens = ['surface', 'raised', 'line', 'text', 'muted', 'accent', 'good', 'warn', 'bad'] as const;
export type ChartColours = Record<(typeof tokens)[number], string> & { readonly font: string };

/** The tokens as canvases need them, in the theme that is shown now. */
export function readColours(): ChartColours {
  const colours = Object.fromEntries(tokens.map((token) => [token, colour(token)]));
  return { ...(colours as Record<(typeof tokens)[number], string>), font: getComputedStyle(document.body).fontFamily };
}
