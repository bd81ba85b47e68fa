/** Numbers as the page writes them: sensible digits, units, a narrow no-break space before the unit. */
const nbsp = '\u00a0';
const integer = new Intl.NumberFormat('en-GB');

/** `1,676` */
export function whole(n: number): string {
  return integer.format(Math.round(n));
}

/** `1 class`, `45 classes` */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${whole(n)}${nbsp}${n === 1 ? one : many}`;
}

/** Share 0–1 → `92.4 %` */
export function percent(share: number, digits = 1): string {
  return `${(share * 100).toFixed(digits)}${nbsp}%`;
}

/** Bytes → `1.6 GB`, decimal units as operating systems write them. */
export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = n;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)}${nbsp}${units[unit] ?? ''}`;
}

/** Operations a second → `23 GFLOP/s`, `5.1 TFLOP/s`. */
export function flops(rate: number): string {
  const tera = rate >= 999.5e9;
  const value = rate / (tera ? 1e12 : 1e9);
  return `${value >= 99.5 ? value.toFixed(0) : value.toPrecision(2)}${nbsp}${tera ? 'T' : 'G'}FLOP/s`;
}

/** Seconds → `40 ms`, `8 s`, `3 min 20 s`, `2 h 5 min` */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))}${nbsp}ms`;
  const s = Math.round(seconds);
  if (s < 60) return `${s}${nbsp}s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 10) return s % 60 === 0 ? `${minutes}${nbsp}min` : `${minutes}${nbsp}min ${s % 60}${nbsp}s`;
  if (minutes < 60) return `${Math.round(s / 60)}${nbsp}min`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours}${nbsp}h` : `${hours}${nbsp}h ${minutes % 60}${nbsp}min`;
}
