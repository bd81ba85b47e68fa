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
  /** Only this one: a dialog says a moment later that it was closed, and another may be open by then. */
  close(panel: PanelName): void {
    if (open === panel) open = null;
  },
};
