import type { DownloadProgress, Part } from './types.ts';

/** Tells how far a download is and how long the rest will take, by the time in which bytes came. */
export function progressOf(
  { url, bytes }: { readonly url: string; readonly bytes: number | null },
  part: Part,
  onProgress: ((progress: DownloadProgress) => void) | undefined,
) {
  /** Of connections that are over, ms and bytes; and where the present one began. */
  let [active, arrived] = [0, 0];
  let now: { readonly since: number; readonly from: number } | null = null;
  const spent = (): readonly [ms: number, count: number] =>
    now === null ? [active, arrived] : [active + performance.now() - now.since, arrived + part.done - now.from];
  const tell = (waiting: string | null): void => {
    const total = part.total ?? bytes;
    const totalBytes = total === null ? null : Math.max(total, part.done);
    const [ms, count] = spent();
    const known = totalBytes !== null && waiting === null && ms >= 1000 && count > 0;
    const secondsLeft = known ? ((ms / 1000) * (totalBytes - part.done)) / count : null;
    onProgress?.({ url, doneBytes: part.done, totalBytes, secondsLeft, waiting });
  };
  return {
    starts: (): void => {
      now = { since: performance.now(), from: part.done };
    },
    tell: () => tell(null),
    waits: (why: string): void => {
      // What was begun anew may be less than what was there.
      [active, arrived] = spent().map((value) => Math.max(0, value)) as [number, number];
      now = null;
      tell(why);
    },
  };
}

export const inSeconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;
