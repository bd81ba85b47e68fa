/** The folder of the page, seen from a worker: its script is built into `assets/` beside the page, and served from `src/` in development. */
export function pageAddress(): string {
  return import.meta.env.DEV ? new URL('/', self.location.href).href : new URL('../', self.location.href).href;
}
