/** Colour tokens as canvases and charts need them: `light-dark()` resolved to the theme that is shown. */
export type ColourToken =
  | 'surface'
  | 'raised'
  | 'line'
  | 'text'
  | 'muted'
  | 'accent'
  | 'accent-text'
  | 'good'
  | 'warn'
  | 'bad'
  | 'image-ground'
  | `class-${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10}`;

/** `oklch(…)`, ready for `fillStyle`. Ask again after `onThemeChange`. */
export function colour(token: ColourToken): string {
  const probe = document.createElement('span');
  probe.style.color = `var(--${token})`;
  probe.hidden = true;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** Called when the system goes from light to dark or back. Returns what ends it. */
export function onThemeChange(listener: () => void): () => void {
  const query = matchMedia('(prefers-color-scheme: dark)');
  query.addEventListener('change', listener);
  return () => query.removeEventListener('change', listener);
}
