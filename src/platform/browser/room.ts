/** Bytes that this page may still store; null where the browser doesn't say (an insecure origin). */
export async function room(): Promise<number | null> {
  const manager = navigator.storage as StorageManager | undefined;
  const { quota, usage } = (await manager?.estimate().catch(() => undefined)) ?? {};
  return quota === undefined || usage === undefined ? null : Math.max(0, quota - usage);
}
