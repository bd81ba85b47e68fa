/** Lines, and below them one that is drawn anew: where nobody would see that (a file, a log, a pipe) there are lines alone. */
export interface Terminal {
  /** Whether a line can be drawn anew. */
  readonly live: boolean;
  line(text?: string): void;
  /** The line at the bottom, cut to the width; '' takes it away. Nothing where `live` is false. */
  status(text: string): void;
}

/** What a stream of this process is. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const REDRAW = 100;

export function terminal(stream: Screen): Terminal {
  const live = stream.isTTY === true && process.env.TERM !== 'dumb';
  let shown = '';
  let drawn = -Infinity;
  const erase = (): void => {
    if (shown !== '') stream.write('\r\x1b[K');
  };
  return {
    live,
    line: (text = '') => {
      erase();
      stream.write(`${text}\n`);
      if (shown !== '') stream.write(shown);
    },
    status: (text) => {
      const now = performance.now();
      if (!live || (text !== '' && now - drawn < REDRAW)) return;
      erase();
      // A terminal that doesn't know its width says 0. In the last column some terminals begin a new line.
      shown = text.slice(0, Math.max(0, (stream.columns || 80) - 1));
      drawn = text === '' ? -Infinity : now;
      stream.write(shown);
    },
  };
}

/** `━━━━━━───────` */
export function bar(share: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return '━'.repeat(full) + '─'.repeat(width - full);
}
