import type { StepName } from './navigation.svelte.ts';

export interface StepStatus {
  /** `empty`: cannot start yet, the note says what it needs · `ready`: can start · the rest as it says. */
  readonly state: 'empty' | 'ready' | 'working' | 'done' | 'failed';
  /** 0–1 while working; null or absent where unknown. */
  readonly progress?: number | null;
  /** A few words for the rail: `needs a data set`, `epoch 3 of 20`, `92.4 % on Test`. */
  readonly note: string;
}

const waiting: Readonly<Record<StepName, StepStatus>> = {
  data: { state: 'ready', note: 'drop a zip' },
  train: { state: 'empty', note: 'needs a data set' },
  evaluate: { state: 'empty', note: 'needs a trained model' },
  export: { state: 'empty', note: 'needs a trained model' },
  try: { state: 'empty', note: 'needs a trained model' },
  versions: { state: 'empty', note: 'needs a trained model' },
};

let sources = $state.raw<Partial<Record<StepName, () => StepStatus>>>({});

/** A state module hands in a function over its runes; the rail follows it. Call it once, at module level. */
export function provideStep(step: StepName, status: () => StepStatus): void {
  sources = { ...sources, [step]: status };
}

export function stepStatus(step: StepName): StepStatus {
  return sources[step]?.() ?? waiting[step];
}
