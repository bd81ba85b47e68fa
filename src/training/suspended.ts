/** Thrown out of an epoch or a pass that there is no time for. */
export class Suspended extends Error {}

export async function unlessSuspended<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Suspended) return null;
    throw error;
  }
}
