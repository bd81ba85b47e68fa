import { tick } from 'svelte';

export const stepNames = ['data', 'train', 'evaluate', 'export', 'try', 'versions'] as const;
export type StepName = (typeof stepNames)[number];

export const stepTitles: Readonly<Record<StepName, string>> = {
  data: 'Data',
  train: 'Train',
  evaluate: 'Evaluate',
  export: 'Export',
  try: 'Try',
  versions: 'Versions',
};

function fromHash(): StepName {
  const name = location.hash.slice(1);
  return stepNames.find((step) => step === name) ?? 'data';
}

let step = $state<StepName>(fromHash());

export const navigation = {
  get step(): StepName {
    return step;
  },
};

let focusAwaited = false;

/** Focus goes where the work is: the view's heading, or whatever else it marks with `data-focus`; once it is there. */
export async function focusView(): Promise<void> {
  await tick();
  const main = document.querySelector('main');
  const target = main?.querySelector<HTMLElement>('[data-focus]') ?? main?.querySelector<HTMLElement>('h1');
  focusAwaited = target == null;
  if (!target) return;
  if (!target.hasAttribute('tabindex') && target.tabIndex < 0) target.tabIndex = -1;
  target.focus({ preventScroll: true });
  main?.scrollTo(0, 0);
}

/** A view has been fetched, and is shown. */
export function viewArrived(): void {
  if (focusAwaited) void focusView();
}

/** Goes to a step. The address changes, so that back and forward and a shared link work. */
export function go(to: StepName): void {
  if (to === step) void focusView();
  else location.hash = to;
}

/** Called once by the root. */
export function followHash(): () => void {
  const onHashChange = (): void => {
    step = fromHash();
    document.title = `${stepTitles[step]} · PacerID Studio`;
    void focusView();
  };
  document.title = `${stepTitles[step]} · PacerID Studio`;
  addEventListener('hashchange', onHashChange);
  return () => removeEventListener('hashchange', onHashChange);
}
