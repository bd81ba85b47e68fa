import type { WorkId } from '../../workers/protocol.ts';

/** Something that the model worker does and that can be called off by its name: `cancel`. */
export interface Work {
  readonly id: WorkId;
  /** To be called once, when it has answered or was called off. */
  over(): void;
}

let newest = 0;
let underWay = $state(0);

export const works = {
  /** Whether any is under way. */
  get any(): boolean {
    return underWay > 0;
  },
};

export function beginWork(): Work {
  newest += 1;
  underWay += 1;
  return { id: newest, over: () => void (underWay -= 1) };
}
