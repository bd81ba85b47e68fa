/** What becomes of the labels that weights know when a run over `classes` starts from them. */
export interface LabelChange {
  readonly known: readonly string[];
  readonly fresh: readonly string[];
  readonly gone: readonly string[];
}

export function labelChange(labels: readonly string[], classes: readonly string[]): LabelChange {
  return {
    known: classes.filter((name) => labels.includes(name)),
    fresh: classes.filter((name) => !labels.includes(name)),
    gone: labels.filter((name) => !classes.includes(name)),
  };
}

/** `6 labels are known and keep what was learnt · 1 is new (BSC - Oak) · 1 is gone (MDT - Elm)` */
export function labelWords({ known, fresh, gone }: LabelChange): string {
  const some = (names: readonly string[]): string =>
    names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
  const be = (n: number): string => `${n} ${n === 1 ? 'is' : 'are'}`;
  const parts =
    known.length === 0
      ? ['no label is known: the head starts anew']
      : [
          known.length === 1
            ? '1 label is known and keeps what was learnt'
            : `${known.length} labels are known and keep what was learnt`,
        ];
  if (fresh.length > 0) parts.push(`${be(fresh.length)} new (${some(fresh)})`);
  if (gone.length > 0) parts.push(`${be(gone.length)} gone (${some(gone)})`);
  return parts.join(' · ');
}
