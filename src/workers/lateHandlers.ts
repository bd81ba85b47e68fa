/**
 * Handlers whose code is a part of its own, so that a worker answers others before it has come. A part that could not be fetched is
 * asked for again by the next command. `names`: all of them, since what the part has isn't known before.
 */
export function lateHandlers<H extends object>(fetchPart: () => Promise<H>, names: Readonly<Record<keyof H, true>>): H {
  let part: Promise<H> | undefined;
  const fetched = (): Promise<H> =>
    (part ??= fetchPart().catch((error: unknown) => {
      part = undefined;
      throw error;
    }));
  const late = (name: string) => async (payload: unknown) =>
    ((await fetched()) as Readonly<Record<string, (payload: unknown) => unknown>>)[name]?.(payload);
  return Object.fromEntries(Object.keys(names).map((name) => [name, late(name)])) as H;
}
