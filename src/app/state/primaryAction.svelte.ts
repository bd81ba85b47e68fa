import type { Snippet } from 'svelte';

/** What the frame's bottom-right slot shows: one primary action a view. `PrimaryAction.svelte` fills it. */
export interface PrimaryActionContent {
  /** What it does: `Train 20 epochs`. */
  readonly label: string;
  readonly onclick: () => void;
  readonly disabled: boolean;
  /** Beside the button: why it is disabled, or what it will cost. */
  readonly why: string;
  /** Lesser buttons beside it: pause, stop. */
  readonly secondary: Snippet | undefined;
}

let current = $state.raw<PrimaryActionContent | null>(null);

export const primaryAction = {
  get current(): PrimaryActionContent | null {
    return current;
  },
  /**
   * Returns what takes it away again, unless another view has put its own there meanwhile. That view's turn comes a moment later:
   * the button waits for it, so that it is the same one and keeps the focus.
   */
  show(content: PrimaryActionContent): () => void {
    current = content;
    return () => {
      queueMicrotask(() => {
        if (current === content) current = null;
      });
    };
  },
};
