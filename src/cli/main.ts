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

const [name = '', ...args] = process.argv.slice(2);
const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
let code = 2;
if (load === undefined) {
  console.error(`There is no command “${name}”; there are ${Object.keys(commands).join(', ')}.`);
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
// Dawn keeps a process alive, and crashes when it is taken down in another way.
process.exit(code);
