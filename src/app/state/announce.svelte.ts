/** What the live regions say: epoch ends, failures, ends of imports; never every step. */
type Urgency = 'polite' | 'assertive';

let spoken = $state.raw<{ readonly [U in Urgency]: string }>({ polite: '', assertive: '' });

export const announcements = {
  get polite(): string {
    return spoken.polite;
  },
  get assertive(): string {
    return spoken.assertive;
  },
};

/** A screen reader reads a region when its text changes; a no-break space at the end makes the same words new. */
export function announce(message: string, urgency: Urgency = 'polite'): void {
  const text = spoken[urgency] === message ? `${message}\u00a0` : message;
  spoken = { ...spoken, [urgency]: text };
}
