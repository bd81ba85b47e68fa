/**
 * A kill at every rename, flush, new folder and removal, over the making of a version and a sync. What `verify -- kills` draws by
 * chance, in full but for opens and writes (those go to `.part` files); needs strace on Linux.
 *
 *   npm run verify -- kills-every [--only versions,sync]
 */
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { killHome, prepareVersions, versions } from './headless/killTargets.ts';
import { option } from './headless/trainer.ts';

const calls = ['rename', 'fsync', 'mkdir', 'unlink', 'rmdir'];
const home = killHome(tmpdir());
const faults: string[] = [];
try {
  const places = await prepareVersions(home);
  for (const which of (option('only') ?? 'versions,sync').split(',') as ('versions' | 'sync')[]) {
    const target = versions(home, places, which);
    const left = new Map<string, number>();
    const kills: string[] = [];
    for (const call of calls) {
      let nth = 0;
      for (let whole = false; !whole && nth < 500;) {
        nth += 1;
        const round = await target.round();
        const killing = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${nth}`];
        // strace counts in each thread; with one for files the count is the command's.
        const ended = await round.command.start({
          under: ['strace', '-f', '-qq', '-o', '/dev/null', ...killing],
          env: { UV_THREADPOOL_SIZE: '1' },
        }).ended;
        whole = ended.code === 0;
        // strace ends as the process did.
        if (!whole && ended.signal !== 'SIGKILL') throw new Error(`strace: ${ended.stderr || String(ended.code)}`);
        const state = round.inspect();
        if (!whole) left.set(state.left, (left.get(state.left) ?? 0) + 1);
        const again = await round.command.start().ended;
        const wrong = again.code === 0 ? round.compare(again) : [`ended with ${again.code}: ${again.stderr}`];
        faults.push(...[...state.faults, ...wrong].map((fault) => `${which}, ${call} ${nth}: ${fault}`));
        round.dispose();
      }
      kills.push(`${nth - 1} × ${call}`);
    }
    console.log(`\n${which}, killed at ${kills.join(', ')}; left:`);
    for (const [state, times] of left) console.log(`${String(times).padStart(4)} × ${state}`);
  }
} finally {
  rmSync(home, { recursive: true, force: true });
}
for (const fault of faults) console.log(`✗ ${fault}`);
console.log(faults.length === 0 ? '\nNothing was ever half-written.' : `\n${faults.length} violations.`);
process.exit(faults.length === 0 ? 0 : 1);
