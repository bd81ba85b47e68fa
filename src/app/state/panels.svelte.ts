/** Drawers and dialogs that lie over the steps; one at a time. */
export type PanelName = 'settings' | 'computer' | 'keys';

let open = $state<PanelName | null>(null);

export const panels = {
  get open(): PanelName | null {
    return open;
  },
  show(panel: PanelName): void {
    open = panel;
  },
  close(): void {
    open = null;
  },
};
