/** Canvas cannot read `light-dark()` or custom properties: the tokens are resolved through an element that uses them. */

const tokens = [
  '--surface',
  '--raised',
  '--line',
  '--text',
  '--muted',
  '--accent',
  '--good',
  '--warn',
  '--bad',
] as const;
export type ChartColours = Record<(typeof tokens)[number], string> & { font: string };

/** Colours as the browser computes them inside `host`, now. */
export function readColours(host: HTMLElement): ChartColours {
  const probe = document.createElement('span');
  probe.style.display = 'none';
  host.append(probe);
  const colours: Record<string, string> = {};
  for (const token of tokens) {
    probe.style.color = `var(${token})`;
    colours[token] = getComputedStyle(probe).color;
  }
  probe.remove();
  return { ...(colours as Record<(typeof tokens)[number], string>), font: getComputedStyle(host).fontFamily };
}

/** Calls `changed` when the system's theme or the page's own switch changes. Returns the way to stop. */
export function onThemeChange(changed: () => void): () => void {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  dark.addEventListener('change', changed);
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['class', 'style', 'data-theme'] });
  return () => {
    dark.removeEventListener('change', changed);
    observer.disconnect();
  };
}
