/**
 * A button that vanishes or is switched off takes the focus with it, and who uses the keyboard would stand at the top of the page
 * again. So focus that fell to nothing goes on: back to what had it, once that is switched on again; where it is gone, to the next
 * thing that can be used in what is left around it; and where the whole view is gone, to where `toView` puts it.
 */
export function keepFocus(toView: () => void): () => void {
  let last: HTMLElement | null = null;
  /** What lay around it, the innermost first, and before it, when it took focus: it says neither any more once it is gone. */
  let around: readonly Element[] = [];
  let before: readonly Element[] = [];
  let byKeyboard = false;

  const nobodyHasIt = (): boolean => document.activeElement === null || document.activeElement === document.body;
  const lost = (element: HTMLElement): boolean => !element.isConnected || element.matches(':disabled');

  function onfocusin(event: FocusEvent): void {
    if (!(event.target instanceof HTMLElement)) return;
    last = event.target;
    byKeyboard = last.matches(':focus-visible');
    around = ancestors(last);
    const all = usableIn(around.find(isPart) ?? document.body);
    before = all.slice(0, Math.max(0, all.indexOf(last)));
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
    last = null;
    for (const element of around) {
      if (isPart(element) && !element.matches('dialog')) break;
      if (!element.isConnected) continue;
      // Into fields only by keyboard: elsewhere one brings up the keys of a phone.
      const left = usableIn(element).filter((one) => byKeyboard || !one.matches('input, select, textarea'));
      const next = left.find((one) => !before.includes(one)) ?? left.at(-1);
      if (next) return next.focus();
    }
    toView();
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

/** What focus does not leave by itself. */
function isPart(element: Element): boolean {
  return element.matches('main, nav, header, footer, dialog, #app');
}

function usableIn(element: Element): HTMLElement[] {
  const all = element.querySelectorAll<HTMLElement>(
    'a[href], button, summary, input, select, textarea, [tabindex="0"]',
  );
  return [...all].filter((one) => one.tabIndex >= 0 && !one.matches(':disabled') && one.checkVisibility());
}
