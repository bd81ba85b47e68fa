/** Zoom about the pointer with the wheel or two fingers, drag to move. Zoom 1 is the image fitted to the ground. */
export function zoomable() {
  let zoom = $state(1);
  let x = $state(0);
  let y = $state(0);

  function zoomTo(next: number, centreX = 0, centreY = 0): void {
    const bounded = Math.min(16, Math.max(1, next));
    x = centreX - ((centreX - x) * bounded) / zoom;
    y = centreY - ((centreY - y) * bounded) / zoom;
    zoom = bounded;
    if (zoom === 1) x = y = 0;
  }

  return {
    get zoom(): number {
      return zoom;
    },
    get transform(): string {
      return `translate(${x}px, ${y}px) scale(${zoom})`;
    },
    by: (factor: number): void => zoomTo(zoom * factor),
    reset(to = 1): void {
      zoom = to;
      x = y = 0;
    },
    attach(ground: HTMLElement): () => void {
      const pointers = new Map<number, PointerEvent>();
      const fromCentre = (clientX: number, clientY: number): [number, number] => {
        const box = ground.getBoundingClientRect();
        return [clientX - box.left - box.width / 2, clientY - box.top - box.height / 2];
      };
      const wheel = (event: WheelEvent): void => {
        event.preventDefault();
        zoomTo(zoom * Math.exp(-event.deltaY / 400), ...fromCentre(event.clientX, event.clientY));
      };
      const down = (event: PointerEvent): void => {
        ground.setPointerCapture(event.pointerId);
        pointers.set(event.pointerId, event);
      };
      const move = (event: PointerEvent): void => {
        const before = pointers.get(event.pointerId);
        if (!before) return;
        const other = [...pointers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
        if (other) {
          const spread = (at: PointerEvent): number =>
            Math.hypot(at.clientX - other.clientX, at.clientY - other.clientY);
          const middle = fromCentre((event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
          zoomTo((zoom * spread(event)) / Math.max(1, spread(before)), ...middle);
        } else if (zoom > 1) {
          x += event.clientX - before.clientX;
          y += event.clientY - before.clientY;
        }
        pointers.set(event.pointerId, event);
      };
      const up = (event: PointerEvent): void => void pointers.delete(event.pointerId);
      // Not passive: the page must not scroll or zoom along.
      ground.addEventListener('wheel', wheel, { passive: false });
      ground.addEventListener('pointerdown', down);
      ground.addEventListener('pointermove', move);
      ground.addEventListener('pointerup', up);
      ground.addEventListener('pointercancel', up);
      return () => {
        ground.removeEventListener('wheel', wheel);
        ground.removeEventListener('pointerdown', down);
        ground.removeEventListener('pointermove', move);
        ground.removeEventListener('pointerup', up);
        ground.removeEventListener('pointercancel', up);
      };
    },
  };
}
