const NAME = 'pacerid-import';

export interface ImportLock {
  /** Several imports, in several tabs, may run at the same time. */
  importing<T>(work: () => Promise<T>): Promise<T>;
  /** Runs `work` unless some tab is importing. */
  whileNobodyImports(work: () => Promise<void>): Promise<void>;
  /** Whether imports of other tabs are known. */
  readonly knowsOtherTabs: boolean;
}

/** Web Locks need a secure origin; where there are none, imports of this worker alone are known. */
export function importLock(): ImportLock {
  const locks = navigator.locks as LockManager | undefined;
  let here = 0;
  let sweeping: Promise<void> = Promise.resolve();
  return {
    knowsOtherTabs: locks !== undefined,
    importing: async (work) => {
      await sweeping;
      here += 1;
      try {
        return await (locks === undefined ? work() : locks.request(NAME, { mode: 'shared' }, work));
      } finally {
        here -= 1;
      }
    },
    whileNobodyImports: (work) => {
      const alone = async (): Promise<void> => {
        if (here === 0) await work();
      };
      const swept =
        locks === undefined
          ? alone()
          : locks.request(NAME, { ifAvailable: true }, async (lock) => (lock === null ? undefined : alone()));
      sweeping = swept.catch(() => undefined);
      return swept;
    },
  };
}
