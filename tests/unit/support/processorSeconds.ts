/**
 * Seconds of the processor, since other programs are at work on it, too: of all the work, and of its longest piece between
 * turns of the event loop. A test file has a process of its own.
 */
export async function secondsOf(
  work: () => Promise<unknown>,
): Promise<{ total: number; longest: number; turns: number }> {
  const now = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  };
  const began = now();
  let [last, longest, turns, working] = [began, 0, 0, true];
  const beat = () => {
    const at = now();
    longest = Math.max(longest, at - last);
    last = at;
    if (!working) return;
    turns++;
    setImmediate(beat);
  };
  setImmediate(beat);
  await work();
  working = false;
  beat();
  return { total: last - began, longest, turns };
}
