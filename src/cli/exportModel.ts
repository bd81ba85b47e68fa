import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { mergeTrees, treeOf, valueAt, type ConfigTree } from '../config/tree.ts';
import { writeWhole } from '../platform/node/atomicWrite.ts';
import { memoryDatasetStore } from '../platform/node/memoryDatasetStore.ts';
import { memoryRunStore } from '../platform/node/runStore.ts';
import { readCheckpoint } from '../training/checkpoint.ts';
import { checkpointPath, openCheckpointFile, readCheckpointFile } from './checkpointFile.ts';
import type { Command } from './command.ts';
import { UsageError } from './errors.ts';
import { readFlags, refuseWords } from './flags.ts';
import { writePackage } from './results.ts';
import { openSession } from './session.ts';
import { settingsOf } from './settings.ts';

export const command: Command = {
  summary: 'Writes a checkpoint as a Core ML package, as safetensors, or as a page that shows it to others.',
  usage: `npm run export -- [flags]

  --checkpoint FILE      default: checkpoint_best.safetensors in output.dir
  --format FORMAT        mlpackage (a folder for Xcode; the default), safetensors, or demo (a zip: a
                         small web page with the model inside, for any static host; made by
                         npm run build)
  --precision P          of an mlpackage: float16 or float32; default: that of the checkpoint's run
  --output DIR           where to; default: output.dir
  --config FILE          YAML, of which the settings of output count
  --set output.KEY=VALUE model_name, author, description, intended_use, version
  --help`,
  run,
};

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags('export', args, {
    checkpoint: { type: 'string' },
    format: { type: 'string', default: 'mlpackage' },
    precision: { type: 'string' },
    output: { type: 'string' },
    config: { type: 'string' },
    set: { type: 'string', multiple: true },
  });
  refuseWords('export', positionals);
  const { format } = values;
  if (format !== 'mlpackage' && format !== 'safetensors' && format !== 'demo')
    throw new UsageError(`--format is ${format}; it can be mlpackage, safetensors or demo.`, 'export');
  const useless = values.set?.find((pair) => !pair.startsWith('output.'));
  if (useless !== undefined)
    throw new UsageError(`--set ${useless} changes nothing in an export: only settings of output do.`, 'export');
  const precision = values.precision === undefined ? [] : [`output.precision=${values.precision}`];
  const { config, named } = await settingsOf({ config: values.config, set: [...(values.set ?? []), ...precision] });

  const path = checkpointPath(values.checkpoint, config.output.dir);
  const bytes = await readCheckpointFile(
    path,
    `Its package lies in ${join(config.output.models_dir, 'versions')}, beside weights.safetensors; npm run sync-model copies it to the app.`,
  );
  const runs = memoryRunStore();
  const session = openSession({ datasets: memoryDatasetStore(), runs, modelsDir: config.output.models_dir });
  const runId = await openCheckpointFile(session, runs, path, bytes);
  // Settings of the last weeks' checkpoints may lack a key: the configuration of today fills it.
  const own = { ...config.output, ...readCheckpoint(bytes).config.output };
  const output = withNamed(own, config, named);
  const exported = await (format === 'demo'
    ? session.model.exportDemo({ runId, output })
    : session.model.exportModel({ runId, format, output }));
  const dir = values.output ?? config.output.dir;
  const written = format === 'mlpackage' ? await writePackage(exported.blob, dir) : join(dir, exported.fileName);
  if (format !== 'mlpackage') await writeWhole(written, new Uint8Array(await exported.blob.arrayBuffer()));
  console.log(`${path} → ${written}${format === 'mlpackage' ? ` (${output.precision})` : ''}`);
  return 0;
}

function withNamed(own: Config['output'], config: Config, named: readonly string[]): Config['output'] {
  const changes = named
    .filter((path) => path.startsWith('output.'))
    .map((path) => treeOf(path, valueAt(config as unknown as ConfigTree, path) ?? null));
  const tree = changes.reduce(mergeTrees, { output: own as unknown as ConfigTree });
  return tree['output'] as unknown as Config['output'];
}
