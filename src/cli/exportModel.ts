import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { mergeTrees, treeOf, valueAt, type ConfigTree } from '../config/tree.ts';
import { configToYaml } from '../config/yamlOut.ts';
import { UserError } from '../errors.ts';
import { writeBundle } from '../export/bundle/index.ts';
import type { BundledFile } from '../export/bundle/types.ts';
import { exportFormats, type ExportFormat, type ExportFormatId } from '../export/index.ts';
import { writeWhole } from '../platform/node/atomicWrite.ts';
import { memoryDatasetStore } from '../platform/node/memoryDatasetStore.ts';
import { memoryRunStore } from '../platform/node/runStore.ts';
import { exportInput } from '../registry/exportInput.ts';
import { readCheckpoint } from '../training/checkpoint.ts';
import { metricsOf } from '../training/metricsFile.ts';
import { trainedModel } from '../training/trainedModel.ts';
import type { RunStore } from '../training/types.ts';
import type { TrainedAnswers } from '../workers/certificateImages.ts';
import { isCertified } from '../workers/certifying.ts';
import { CertificateCancelledError } from '../workers/certifyingErrors.ts';
import type { ModelCommands } from '../workers/protocol.ts';
import {
  answersOf,
  certificateFlags,
  certificateUsage,
  certified,
  howManyOf,
  type CertificateFlags,
} from './certifying.ts';
import { checkpointPath, openCheckpointFile, readCheckpointFile } from './checkpointFile.ts';
import type { Command } from './command.ts';
import { CertificateFailedError, UsageError } from './errors.ts';
import { readFlags, refuseWords } from './flags.ts';
import { writePackage } from './results.ts';
import { openSession } from './session.ts';
import { settingsOf } from './settings.ts';
import { stoppable, type Stopping } from './stoppable.ts';
import { terminal, type Terminal } from './terminal.ts';
import { certificateInWords } from './versionWords.ts';

const formats = [...(Object.keys(exportFormats) as ExportFormatId[]), 'bundle', 'demo'] as const;
type Format = (typeof formats)[number];
/** `a, b or c` */
const inWords = (names: readonly string[]): string => `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
const isFormat = (name: string): name is Format => (formats as readonly string[]).includes(name);

export const command: Command = {
  summary: 'Writes a checkpoint for phones and other programs, certified to answer as the model does.',
  usage: `npm run export -- [flags]

  --checkpoint FILE      default: checkpoint_best.safetensors in output.dir
  --format FORMAT        ${formats.slice(0, 5).join(', ')},
                         ${formats.slice(5).join(', ')};
                         default: mlpackage, a folder for Xcode. bundle: a zip with all that the
                         app's developer needs, images of the certificate among it; demo: a small
                         web page with the model inside, for any static host (by npm run build)
  --with FORMAT          of a bundle: another model beside the mlpackage; as often as needed
  --precision P          auto, float16 or float32; default: that of the checkpoint's run
  --weights W            full, or in 8 bits: palettized, linear
  --makers               a second output with the makers' probabilities
  --output DIR           where to; default: output.dir
  --config FILE          YAML, of which the settings of output count
  --set output.KEY=VALUE model_name, author, description, intended_use, version, …
  --help

Certificate: the file is read back, run on images and compared with the trained model; what was
found lies beside it as NAME.FORMAT.certificate.json. A file that fails is not written.
${certificateUsage}
  --no-certificate       the file alone
  --force                the file, and its certificate, though it failed`,
  run,
};

type Values = CertificateFlags & {
  readonly precision?: string | undefined;
  readonly weights?: string | undefined;
  readonly makers?: boolean | undefined;
  readonly with?: readonly string[] | undefined;
  readonly output?: string | undefined;
  readonly 'no-certificate'?: boolean | undefined;
  readonly force?: boolean | undefined;
};

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags('export', args, {
    checkpoint: { type: 'string' },
    format: { type: 'string', default: 'mlpackage' },
    with: { type: 'string', multiple: true },
    precision: { type: 'string' },
    weights: { type: 'string' },
    makers: { type: 'boolean' },
    output: { type: 'string' },
    config: { type: 'string' },
    set: { type: 'string', multiple: true },
    ...certificateFlags,
    'no-certificate': { type: 'boolean' },
    force: { type: 'boolean' },
  });
  refuseWords('export', positionals);
  const { format } = values;
  if (!isFormat(format)) throw new UsageError(`--format is ${format}; it can be ${inWords(formats)}.`, 'export');
  mustMeanSomething(format, values);
  const useless = values.set?.find((pair) => !pair.startsWith('output.'));
  if (useless !== undefined)
    throw new UsageError(`--set ${useless} changes nothing in an export: only settings of output do.`, 'export');
  const { precision, weights, makers } = values;
  const short = { precision, weights, maker_output: makers };
  const pairs = Object.entries(short).flatMap(([key, value]) =>
    value === undefined ? [] : [`output.${key}=${value}`],
  );
  const { config, named } = await settingsOf({ config: values.config, set: [...(values.set ?? []), ...pairs] });

  const path = checkpointPath(values.checkpoint, config.output.dir);
  const bytes = await readCheckpointFile(
    path,
    `Its package lies in ${join(config.output.models_dir, 'versions')}, beside weights.safetensors; npm run sync-model copies it to the app.`,
  );
  // Settings of the last weeks' checkpoints may lack a key: the configuration of today fills it.
  const own = { ...config.output, ...readCheckpoint(bytes).config.output };
  const output = withNamed(own, config, named);
  const out = terminal(process.stdout);
  const dir = values.output ?? config.output.dir;
  // Said now, and not after minutes of comparing.
  if ((await stat(dir).catch(() => null))?.isDirectory() === false)
    throw new UsageError(`${dir} is a file; an export goes into a folder, which --output names.`, 'export');
  return stoppable(out, (stopping) =>
    write({ path, bytes, format, output, place: config, dir, values, out, ...stopping }),
  );
}

/** Throws `UsageError` for flags that would change nothing. */
function mustMeanSomething(format: Format, values: Values): void {
  const refuse = (message: string): never => {
    throw new UsageError(message, 'export');
  };
  howManyOf(values, 'export');
  const besides = Object.keys(exportFormats).filter((id) => id !== 'mlpackage');
  for (const [i, one] of (values.with ?? []).entries()) {
    if (format !== 'bundle') refuse('--with adds a model to a bundle: --format bundle.');
    if (one === 'mlpackage') refuse('--with mlpackage: every bundle has one already.');
    if (!besides.includes(one)) refuse(`--with is ${one}; it can be ${inWords(besides)}.`);
    if (values.with?.indexOf(one) !== i) refuse(`--with ${one} is given twice.`);
  }
  if (format !== 'bundle') mustHold(format, values, refuse);
  const given = (['data', 'images', 'force'] as const).find((flag) => values[flag] !== undefined);
  if (given === undefined) return;
  if (values['no-certificate']) refuse(`--${given} is about the certificate, and --no-certificate asks for none.`);
  if (format !== 'bundle' && !isCertified(format))
    refuse(`--${given} is about the certificate, and ${format} gets none: it holds the weights as they are.`);
}

/** Throws for what a file of this format has no room for. */
function mustHold(format: Exclude<Format, 'bundle'>, values: Values, refuse: (message: string) => never): void {
  const kind: Pick<ExportFormat, 'precisions' | 'weightStorages' | 'makerOutput'> =
    format === 'demo' ? { precisions: ['float32'] } : exportFormats[format];
  const { precision, weights, makers } = values;
  const precisions: readonly string[] = ['auto', ...kind.precisions];
  if (isOneOf(precision, ['float16', 'float32']) && !precisions.includes(precision))
    refuse(`--precision ${precision}: a file of ${format} can only be ${kind.precisions.join(' or ')}.`);
  const storages: readonly string[] = kind.weightStorages ?? ['full'];
  if (isOneOf(weights, ['palettized', 'linear']) && !storages.includes(weights))
    refuse(`--weights ${weights}: in a file of ${format} they can only be ${storages.join(' or ')}.`);
  if (makers && kind.makerOutput !== true) refuse(`--makers: a file of ${format} has no room for a second output.`);
}

/** What is none of them is a mistake of another kind, which the settings tell. */
const isOneOf = (value: string | undefined, known: readonly string[]): value is string =>
  value !== undefined && known.includes(value);

interface Job extends Stopping {
  /** Of the checkpoint. */
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly format: Format;
  readonly output: Config['output'];
  /** The configuration of this computer. */
  readonly place: Config;
  readonly dir: string;
  readonly values: Values;
  readonly out: Terminal;
}

async function write(job: Job): Promise<number> {
  const { path, bytes, format, output, place, dir, out } = job;
  const runs = memoryRunStore();
  const session = openSession({ datasets: memoryDatasetStore(), runs, modelsDir: place.output.models_dir });
  const runId = await openCheckpointFile(session, runs, path, bytes);
  if (format === 'demo') {
    const { fileName, blob } = await session.model.exportDemo({ runId, output });
    const written = join(dir, fileName);
    const content = new Uint8Array(await blob.arrayBuffer());
    job.writing();
    await writeWhole(written, content);
    out.line(`${path} → ${written}`);
    return 0;
  }
  const prove = certifierOf(job);
  const files: (BundledFile & { readonly file: ExportedModel })[] = [];
  const wanted =
    format === 'bundle' ? (['mlpackage', ...(job.values.with ?? [])] as ExportFormatId[]) : ([format] as const);
  for (const id of wanted) {
    job.signal.throwIfAborted();
    const file = await session.model.exportModel({ runId, format: id, output });
    const content = new Uint8Array(await file.blob.arrayBuffer());
    const proof = await prove(id, file, content);
    files.push({ id, file, fileName: file.fileName, bytes: content, ...proof });
  }
  const failed = files.find(({ certificate }) => certificate?.passed === false);
  const name = format === 'bundle' ? `${output.model_name}-bundle.zip` : nameOf(files[0]);
  if (failed?.certificate && !job.values.force)
    throw new CertificateFailedError(join(dir, name), failed.certificate.failures, failed.file);

  const certificateFile = join(dir, `${output.model_name}.${format}.certificate.json`);
  const [first] = files;
  const bundle = format === 'bundle' ? await bundleOf(runs, runId, output, files) : null;
  job.writing();
  // That of an earlier file says nothing of this one.
  await rm(certificateFile, { force: true });
  if (bundle !== null) {
    await writeWhole(join(dir, bundle.fileName), bundle.bytes);
  } else if (first !== undefined) {
    if (format === 'mlpackage') await writePackage(first.file.blob, dir);
    else await writeWhole(join(dir, first.fileName), first.bytes);
    if (first.certificate !== null)
      await writeWhole(certificateFile, `${JSON.stringify(first.certificate, null, 2)}\n`);
  }
  const about =
    first && format !== 'bundle' && isCertified(format) ? ` (${first.file.precision}${eightBit(first.file)})` : '';
  out.line(`${path} → ${join(dir, name)}${about}`);
  for (const { id, certificate } of files)
    if (certificate !== null)
      out.line(`Certificate${format === 'bundle' ? ` of ${id}` : ''}: ${certificateInWords(certificate)}.`);
  if (job.values['no-certificate'] && (format === 'bundle' || isCertified(format)))
    out.line('No certificate, as asked for: nothing proves that it answers as the trained model does.');
  return 0;
}

async function bundleOf(runs: RunStore, runId: string, output: Config['output'], files: readonly BundledFile[]) {
  const { checkpoint, run: state } = await trainedModel(runs, runId);
  const config = { ...checkpoint.config, output };
  const input = exportInput(checkpoint, config, metricsOf({ ...checkpoint, config }, state).test);
  return writeBundle({ input, files, configYaml: configToYaml(config), modelCard: null });
}

type ExportedModel = ModelCommands['exportModel']['result'];

/** A package is written as the folder that its zip holds. */
function nameOf(file: BundledFile | undefined): string {
  return file?.id === 'mlpackage' ? file.fileName.replace(/\.zip$/, '') : (file?.fileName ?? '');
}

const eightBit = ({ weights }: ExportedModel): string => (weights === 'full' ? '' : `, weights ${weights}`);

type FileProof = Pick<BundledFile, 'certificate' | 'goldens'>;

/** Certificates of files of one model: it answers once. Without images, where none were named, there is none, and that is said. */
function certifierOf({ bytes, output, place, values, out, signal }: Job) {
  const none: FileProof = { certificate: null, goldens: [] };
  const checkpoint = readCheckpoint(bytes);
  const settings = output.certificate;
  let answers: Promise<TrainedAnswers | null> | null = null;
  const ask = async (): Promise<TrainedAnswers | null> => {
    const howMany = howManyOf(values, 'export');
    try {
      return await answersOf({ checkpoint, flags: values, howMany, place, settings, out, signal });
    } catch (error) {
      // Who asks for images, or for a certificate of so many, wants no file without one.
      const asked = values.data !== undefined || values.images !== undefined;
      if (asked || !(error instanceof UserError) || error instanceof CertificateCancelledError) throw error;
      out.line(`No certificate: ${error.message} ${error.remedy}`);
      return null;
    }
  };
  return async (id: ExportFormatId, file: ExportedModel, content: Uint8Array<ArrayBuffer>): Promise<FileProof> => {
    if (values['no-certificate'] || !isCertified(id)) return none;
    const at = await (answers ??= ask());
    if (at === null) return none;
    const { precision, weights } = file;
    const written = { precision, weightStorage: weights, makerOutput: output.maker_output };
    const exported = { fileName: file.fileName, bytes: content };
    return certified(at, checkpoint.dataset.classes, exported, id, { settings, written, out, signal });
  };
}

function withNamed(own: Config['output'], config: Config, named: readonly string[]): Config['output'] {
  const changes = named
    .filter((path) => path.startsWith('output.'))
    .map((path) => treeOf(path, valueAt(config as unknown as ConfigTree, path) ?? null));
  const tree = changes.reduce(mergeTrees, { output: own as unknown as ConfigTree });
  return tree['output'] as unknown as Config['output'];
}
