/** What workers and Node both have, and Node's types lack. */
declare module 'node:worker_threads' {
  interface MessagePort {
    onmessage: ((event: { readonly data: unknown }) => void) | null;
  }
}
export {};
