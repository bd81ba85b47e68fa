import { formatBytes } from '../../platform/node/kaggle/bytes.ts';
import { bar, terminal } from '../terminal.ts';
import { duration } from '../words.ts';

/** Says how far a transfer is: a bar on a terminal, now and then a line elsewhere, events with `json`. */
export interface Transfer {
  advance(bytes: number, total: number | null): void;
  notice(text: string): void;
  /** Shows the last state, once. */
  end(): void;
}

/** Milliseconds between two words about it where nobody sees a bar. */
const every = { json: 250, line: 5000 };

export function transfer(phase: 'download' | 'unpack', name: string, json: boolean): Transfer {
  const out = terminal(process.stdout);
  const started = performance.now();
  let first: number | null = null;
  let told = -Infinity;
  let latest: { bytes: number; total: number | null } | null = null;

  const tell = (): void => {
    if (latest === null) return;
    told = performance.now();
    const { bytes, total } = latest;
    latest = null;
    const perSecond = rate(bytes);
    if (json) console.log(JSON.stringify({ type: 'progress', phase, bytes, total, perSecond: Math.round(perSecond) }));
    else out.line(words(name, bytes, total, perSecond));
  };
  // What lay there from before did not come through the wire just now.
  const rate = (bytes: number): number =>
    (bytes - (first ?? bytes)) / Math.max(0.001, (performance.now() - started) / 1000);
  return {
    advance(bytes, total) {
      if (first === null || bytes < first) first = bytes;
      latest = { bytes, total };
      if (out.live && !json) {
        const drawn = total === null || total === 0 ? '' : `${bar(bytes / total, 20)} `;
        out.status(`${drawn}${words(name, bytes, total, rate(bytes))}`);
      } else if (performance.now() - told >= (json ? every.json : every.line)) tell();
    },
    notice(text) {
      if (json) console.log(JSON.stringify({ type: 'notice', text }));
      else out.line(text);
    },
    end() {
      out.status('');
      tell();
    },
  };
}

/** `pacemakers.zip: 43 %, 12.3 MB of 28.4 MB, 3.2 MB/s, 5 s left`. */
function words(name: string, bytes: number, total: number | null, perSecond: number): string {
  const share = total === null || total === 0 ? '' : ` ${Math.floor((bytes / total) * 100)} %,`;
  const of = total === null ? '' : ` of ${formatBytes(total)}`;
  const speed = perSecond > 0 ? `, ${formatBytes(perSecond)}/s` : '';
  const left =
    total === null || perSecond <= 0 || bytes >= total ? '' : `, ${duration((total - bytes) / perSecond)} left`;
  return `${name}:${share} ${formatBytes(bytes)}${of}${speed}${left}`;
}
