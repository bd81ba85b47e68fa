/**
 * One turn of the event loop. A message channel, as `setTimeout` waits 4 ms when nested and a second or more in a hidden tab,
 * and `requestAnimationFrame` doesn't come there at all.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
