import { spawnSync } from 'node:child_process';

/** What stands before a command that must not have root's rights: nothing, where the tests run as somebody else. */
export const asNobody: readonly string[] =
  process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];

/** Whether nobody may read this repository: root's own folder is closed to them. */
export const nobodyCanRead: boolean = (() => {
  if (process.platform === 'win32') return false;
  const [program = '', ...words] = [...asNobody, process.execPath, '-e', "require('sharp')"];
  return spawnSync(program, words).status === 0;
})();
