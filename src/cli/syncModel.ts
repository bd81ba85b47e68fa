import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { ConfigTree } from '../config/tree.ts';
import { configToYaml } from '../config/yamlOut.ts';
import { lockFolder } from '../platform/node/folderLock.ts';
import { nodeFolder } from '../platform/node/folder.ts';
import { versionContent } from '../registry/content.ts';
import { memoryFolder } from '../registry/memoryFolder.ts';
import { versionOf } from '../registry/number.ts';
import { proofProblem } from '../registry/proof.ts';
import { versionRegistry, type Registry } from '../registry/registry.ts';
import { syncVersion } from '../registry/sync.ts';
import type { SyncChange } from '../registry/types.ts';
import { UserError } from '../errors.ts';
import type { Weights } from '../graph/types.ts';
import { readSafetensors } from '../weights/safetensors.ts';
import type { HowMany } from '../workers/certificateImages.ts';
import { writtenAs } from '../workers/certifying.ts';
import { proofOr } from '../workers/versionCommands.ts';
import {
  answersOf,
  certificateFlags,
  certificateUsage,
  certified,
  howManyOf,
  type CertificateFlags,
} from './certifying.ts';
import type { Command } from './command.ts';
import { FileMissingError, UsageError, VersionNotCopiedError, VersionUnprovenError } from './errors.ts';
import { readFlags } from './flags.ts';
import { candidateIn, modelIn, nodeHash, openRegistry } from './registry.ts';
import { layerOfModel, settingFlags, settingsOf, type SettingFlags } from './settings.ts';
import { stoppable, type Stopping } from './stoppable.ts';
import { terminal, type Terminal } from './terminal.ts';
import { megabytes, table } from './words.ts';
import { proofInWords, versionInWords } from './versionWords.ts';

const flags = {
  config: settingFlags.config,
  set: settingFlags.set,
  version: { type: 'string' },
  to: { type: 'string' },
  notes: { type: 'string' },
  'dry-run': { type: 'boolean' },
  force: { type: 'boolean' },
  'no-certificate': { type: 'boolean' },
  ...certificateFlags,
} as const;

export const command: Command = {
  summary: 'Makes a version of the trained model, if there is none of this number, and copies its package to the app.',
  usage: `npm run sync-model -- --version v1.0.0 [flags]

  --version vX.Y.Z       the version; made of the completed run in output.dir where it doesn't exist yet.
                         VERSION=v1.0.0 says the same
  --to DIR               where the app's package lies, instead of output.ios_dir
  --notes TEXT           kept in the version's notes.md
  --dry-run              says what would change, and changes nothing
  --force                also where no certificate proves that the package answers as the trained
                         model does
${certificateUsage}
  --no-certificate       makes the version without; goes with --force
  --config FILE, --set path=value
                         output.dir, output.models_dir, output.ios_dir, output.model_name, …

The version goes to output.models_dir/versions/, where it never changes; output.models_dir/current names it.
The package in the app's folder is replaced as a whole. A version is made with a certificate:
its package, read back and run on images, beside the trained model.`,
  run,
};

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags('sync-model', args, flags);
  const asked = positionals.map((word) => /^VERSION=(.+)$/.exec(word)?.[1]);
  if (asked.includes(undefined)) throw new UsageError(`“${positionals.join(' ')}” belongs to no flag.`, 'sync-model');
  const { config } = await settingsOf(values);
  const { dir, models_dir: modelsDir, ios_dir: iosDir } = config.output;
  const registry = openRegistry(modelsDir);
  const given = [...new Set([...asked, values.version].filter((one) => one !== undefined))];
  if (given.length !== 1) {
    const { suggested } = await registry.list(await candidateIn(dir));
    const problem = given.length > 1 ? `${given.join(' and ')} are two versions.` : 'Which version is missing.';
    throw new UsageError(`${problem} The next number would be ${suggested}: --version ${suggested}.`, 'sync-model');
  }
  if (values['no-certificate'] && !values.force)
    throw new UsageError('--no-certificate goes with --force: nothing would prove the version.', 'sync-model');
  const version = versionOf(given[0] as string);
  const to = values.to ?? iosDir;
  await mustHaveParent(to);

  const dryRun = values['dry-run'] === true;
  const plan = { registry, version, dir, modelsDir, to, dryRun, howMany: howManyOf(values, 'sync-model') };
  const out = terminal(process.stderr);
  if (dryRun) return stoppable(out, (stopping) => sync(values, plan, out, stopping));
  const lock = await lockFolder(modelsDir, {
    name: 'sync',
    doing: 'is making or copying a version from',
    instead: 'use another folder of versions: --set output.models_dir=FOLDER.',
  });
  try {
    return await stoppable(out, (stopping) => sync(values, plan, out, stopping));
  } finally {
    await lock.release();
  }
}

interface Plan {
  readonly registry: Registry;
  readonly version: string;
  /** Where the trained model lies. */
  readonly dir: string;
  readonly modelsDir: string;
  /** The app's folder. */
  readonly to: string;
  readonly dryRun: boolean;
  /** Images for the certificate. */
  readonly howMany: HowMany;
}

type Flags = SettingFlags &
  CertificateFlags & {
    readonly notes?: string | undefined;
    readonly force?: boolean | undefined;
    readonly 'no-certificate'?: boolean | undefined;
  };

async function sync(
  values: Flags,
  { registry, version, dir, modelsDir, to, dryRun, howMany }: Plan,
  out: Terminal,
  { signal, writing }: Stopping,
): Promise<number> {
  const say = (line = ''): void => console.log(line);
  const exists = await registry.has(version);
  // A dry run makes it in memory.
  const source = !exists && dryRun ? versionRegistry(memoryFolder(), nodeHash) : registry;
  if (!exists) {
    const { checkpoint, run: state } = await modelIn(dir);
    // Name, author and the like as it was trained, where nothing else is asked for now.
    const place = (await settingsOf(values, layerOfModel(dir, checkpoint.config as unknown as ConfigTree))).config;
    const { output } = place;
    const content = await versionContent({
      version,
      createdAt: Date.now(),
      checkpoint,
      run: state,
      output,
      yaml: configToYaml,
      hash: nodeHash,
      certify: async (exported, { config }) => {
        const { certificate: settings } = config.output;
        const written = writtenAs({ ...checkpoint, config });
        if (values['no-certificate']) return { uncertified: 'It was made with --no-certificate.' };
        const { classes } = checkpoint.dataset;
        const asked = answersOf({ checkpoint, flags: values, howMany, place, settings, out, signal });
        // What was named and isn't there is a mistake, not a version without proof.
        if (values.data !== undefined) await asked;
        return proofOr(async () =>
          certified(await asked, classes, exported, 'mlpackage', { settings, written, out, signal }),
        );
      },
    });
    const problem = proofProblem(content.record);
    if (problem !== null && !values.force && !dryRun) throw new VersionUnprovenError(version, problem, false);
    if (!dryRun) writing();
    await source.create(content, values.notes ?? '');
  }
  const { record } = await source.open(version);
  const problem = proofProblem(record);
  if (exists && problem !== null && !values.force && !dryRun) throw new VersionUnprovenError(version, problem, true);
  if (!dryRun) writing();
  if (exists && values.notes !== undefined && !dryRun) await registry.setNotes(version, values.notes);

  const current = await registry.current();
  const changes = await syncVersion(
    source,
    version,
    { folder: nodeFolder(to), modelsDir: null, iosDir: '' },
    { dryRun, unproven: values.force === true },
  ).catch((error: unknown) => {
    const made = !exists && !dryRun && error instanceof UserError;
    throw made ? new VersionNotCopiedError(join(modelsDir, 'versions', version), version, error) : error;
  });
  if (!dryRun && current !== version) await registry.setCurrent(version);

  say(`${dryRun ? 'Dry run: nothing was changed.\n' : ''}${versionInWords(record)}`);
  const folder = join(modelsDir, 'versions', version);
  const rows = [
    exists ? ['unchanged', folder, ''] : ['create', folder, megabytes(record.bytes)],
    ...changes.map((change) => [change.action, join(to, change.path), sizeOf(change)]),
    current === version
      ? ['unchanged', join(modelsDir, 'current'), version]
      : [current === null ? 'create' : 'replace', join(modelsDir, 'current'), `${current ?? 'none'} → ${version}`],
  ];
  for (const line of table(rows, [0, 1])) say(`  ${line}`);
  say(`Certificate: ${proofInWords(record)}`);
  if (problem !== null && dryRun && !values.force) say('Without --force this would be refused.');
  const idle = (['data', 'images'] as const).find((flag) => values[flag] !== undefined);
  if (exists && idle !== undefined) say(`Note: --${idle} changed nothing: ${version} exists, and never changes.`);
  if (exists) await sayIfOther(registry, version, dir, say);
  return 0;
}

/** A version never changes: a newer model in `output.dir` is not what was copied. */
async function sayIfOther(
  registry: Registry,
  version: string,
  dir: string,
  say: (line: string) => void,
): Promise<void> {
  const model = await modelIn(dir).catch(() => null);
  if (model === null) return;
  const weights = (await registry.open(version)).files.get('weights.safetensors');
  if (weights === undefined || sameWeights(readSafetensors(weights).tensors, model.checkpoint.weights)) return;
  const { suggested } = await registry.list({
    architecture: model.checkpoint.architecture,
    labels: model.checkpoint.dataset.classes,
  });
  say(
    `Note: the model in ${dir} is NOT the one in ${version}; a version never changes. ` +
      `To make a version of it: --version ${suggested}.`,
  );
}

function sameWeights(a: Weights, b: Weights): boolean {
  const bytesOf = ({ data }: { data: Float32Array }): Uint8Array =>
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return (
    a.size === b.size &&
    [...a].every(([name, tensor]) => {
      const other = b.get(name);
      return other !== undefined && Buffer.compare(bytesOf(tensor), bytesOf(other)) === 0;
    })
  );
}

async function mustHaveParent(to: string): Promise<void> {
  const parent = dirname(resolve(to));
  const found = await stat(parent).catch(() => null);
  if (found?.isDirectory()) return;
  throw new FileMissingError(
    'folder',
    parent,
    'Name the folder of the app that holds its model: --to DIR, or output.ios_dir in a configuration file.',
  );
}

function sizeOf({ action, bytes }: SyncChange): string {
  return action === 'remove' ? '' : megabytes(bytes);
}
