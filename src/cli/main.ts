import { nearestOf } from '../config/describe.ts';
import { UserError } from '../errors.ts';
import type { Command } from './command.ts';

/** Loaded when asked for: the version commands need no tensor library. */
const commands: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  train: () => import('./train.ts'),
  evaluate: () => import('./evaluate.ts'),
  export: () => import('./exportModel.ts'),
  'fetch-weights': () => import('./fetchWeights.ts'),
  'download-data': () => import('./downloadData.ts'),
  'sync-model': () => import('./syncModel.ts'),
  versions: () => import('./versions.ts'),
  'clear-cache': () => import('./clearCache.ts'),
  adapter: () => import('./adapter.ts'),
  cloud: () => import('./cloud.ts'),
};

/** One sentence that says what happened, one what was kept, one what to do; with `PACERID_DEBUG` also where. */
function explain(error: unknown): void {
  if (error instanceof UserError) {
    console.error(`${error.name}: ${error.message}\nKept: ${error.kept}\nWhat to do: ${error.remedy}`);
    if (process.env.PACERID_DEBUG) console.error(error.stack);
  } else {
    console.error(error);
  }
}

// Whoever read our output may have gone (`… | head`): the work goes on.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

const [name = '', ...args] = process.argv.slice(2);
const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
let code = 2;
if (load === undefined) {
  const known = Object.keys(commands);
  const meant = nearestOf(name, known, 2);
  console.error(
    `There is no command “${name}”${meant ? `; did you mean ${meant}?` : `; there are ${known.join(', ')}.`}`,
  );
} else {
  const { command } = await load();
  if (args.includes('--help') || args.includes('-h')) {
    console.log(`${command.summary}\n\n${command.usage}`);
    code = 0;
  } else {
    code = await command.run(args).catch((error: unknown) => {
      explain(error);
      return 1;
    });
  }
}
// What is still on its way to a pipe would be lost.
await Promise.all(
  [process.stdout, process.stderr].map((stream) => new Promise<void>((done) => stream.write('', () => done()))),
);
// Dawn keeps a process alive, and crashes when it is taken down in another way.
process.exit(code);
