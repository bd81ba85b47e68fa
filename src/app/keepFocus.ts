/**
 * A button that vanishes or is switched off takes the focus with it, and who uses the keyboard would stand at the top of the page
 * again. So focus that fell to nothing goes on: back to what had it, once that is switched on again; where it is gone, to the next
 * thing that can be used in what is left around it; and where the whole view is gone, to where `toView` puts it.
 */
export function keepFocus(toView: () => void): () => void {
  let last: HTMLElement | null = null;
  /** What lay around it when it took focus, the innermost first: it says nothing any more once it is gone. */
  let around: readonly Element[] = [];
  let byKeyboard = false;

  const nobodyHasIt = (): boolean => document.activeElement === null || document.activeElement === document.body;
  const lost = (element: HTMLElement): boolean => !element.isConnected || element.matches(':disabled');

  function onfocusin(event: FocusEvent): void {
    if (!(event.target instanceof HTMLElement)) return;
    last = event.target;
    byKeyboard = last.matches(':focus-visible');
    around = ancestors(last);
  }
  /** A click beside everything lets focus go on purpose. */
  function onfocusout(): void {
    const from = last;
    queueMicrotask(() => {
      if (from && from === last && !lost(from) && document.activeElement !== from) last = null;
    });
  }
  function goOn(): void {
    if (!last || !nobodyHasIt()) return;
    if (last.isConnected) {
      if (!lost(last)) last.focus({ preventScroll: true });
      return;
    }
    const next = nextAround(around, byKeyboard);
    last = null;
    if (next) next.focus();
    else toView();
  }

  // In a task of its own: while focus goes from one thing to the next, nobody has it for a moment.
  const observer = new MutationObserver(() => void (last && nobodyHasIt() && setTimeout(goOn)));
  observer.observe(document.body, { subtree: true, childList: true, attributeFilter: ['disabled'] });
  addEventListener('focusin', onfocusin);
  addEventListener('focusout', onfocusout);
  return () => {
    observer.disconnect();
    removeEventListener('focusin', onfocusin);
    removeEventListener('focusout', onfocusout);
  };
}

function ancestors(element: Element): Element[] {
  const parent = element.parentElement;
  return parent ? [parent, ...ancestors(parent)] : [];
}

/** Not beyond the part of the frame that it was in. Into fields only by keyboard: elsewhere one brings up the keys of a phone. */
function nextAround(around: readonly Element[], fields: boolean): HTMLElement | undefined {
  const usable = `a[href], button, summary, [tabindex="0"]${fields ? ', input, select, textarea' : ''}`;
  for (const element of around) {
    if (element.matches('main, .frame, #app')) return undefined;
    if (!element.isConnected) continue;
    const next = [...element.querySelectorAll<HTMLElement>(usable)].find(
      (one) => one.tabIndex >= 0 && !one.matches(':disabled') && one.checkVisibility(),
    );
    if (next) return next;
  }
  return undefined;
}
