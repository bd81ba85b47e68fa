import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import type { DatasetStore } from '../dataset/types.ts';
import type { ExportedBytes } from '../export/index.ts';
import type { Proof } from '../registry/proof.ts';
import type { Checkpoint, RunStore } from '../training/types.ts';
import { unlessAborted } from '../workers/cancelling.ts';
import { writtenAs } from '../workers/certifying.ts';
import { proofOr } from '../workers/versionCommands.ts';
import { answersOf, certified } from './certifying.ts';
import { PackageHeldBackError } from './errors.ts';
import { summary, writeResults } from './results.ts';
import type { Session } from './session.ts';
import type { StopSignal } from './signals.ts';
import type { Terminal } from './terminal.ts';
import { quoted } from './words.ts';

interface Finish {
  /** Where the run lies. */
  readonly dir: string;
  readonly given: ImagesGiven;
  readonly config: Config;
  readonly session: Session;
  readonly runs: RunStore;
  /** Of the images that it was trained with. */
  readonly store: DatasetStore;
  readonly out: Terminal;
  /** Aborted: nobody waits for the comparison any more. */
  readonly signal: AbortSignal;
}

/** The flags of the command line that say where images lie. */
interface ImagesGiven {
  readonly config?: string | undefined;
  readonly data?: string | undefined;
  readonly 'no-cache'?: boolean | undefined;
}

/**
 * The figures, the package and the certificate of a complete run, and its last words. Answers with the exit code. Throws `PackageHeldBackError`
 * when all that is kept is written: whatever goes on to hand the package over has to notice.
 */
export async function finish(runId: string, work: Finish): Promise<number> {
  const { dir, given, session, runs, out } = work;
  try {
    out.status('Writing the package …');
    const results = await writeResults(session, runs, runId, dir, packageCertifier(work));
    out.status('');
    for (const line of summary(results, dir)) out.line(line);
    if (!results.heldBack) return 0;
    const { packageFolder, metricsFile, certificateFile, written, removed } = results;
    const kept = [join(dir, 'checkpoint_best.safetensors'), metricsFile, certificateFile];
    throw new PackageHeldBackError(packageFolder, kept, written, exportCommand(given, dir), removed);
  } finally {
    out.status('');
  }
}

/** What a first signal brings about by then. */
export function packageIsComing(signal: StopSignal, dir: string): string {
  return (
    `${signal}: the training is complete and its checkpoints are in ${dir}; only the package is being written, without waiting for ` +
    'a certificate. Once more ends at once: npm run train -- --resume, or npm run export, writes it then.'
  );
}

/** The run is complete, and whoever stops it now has its package without a certificate. */
function packageCertifier({ config: place, given, store, out, signal }: Finish) {
  return async (exported: ExportedBytes, checkpoint: Checkpoint): Promise<Proof> => {
    const { certificate: settings } = checkpoint.config.output;
    const written = writtenAs(checkpoint);
    const { classes } = checkpoint.dataset;
    const { data, 'no-cache': noCache } = given;
    const flags = { data, 'no-cache': noCache };
    try {
      signal.throwIfAborted();
      const proof = proofOr(async () => {
        const comparison = { checkpoint, flags, howMany: 'as set', place, settings, store, out, signal } as const;
        const answers = await answersOf(comparison);
        return certified(answers, classes, exported, 'mlpackage', { settings, written, out, signal });
      });
      // The network may be in the midst of many images.
      return await unlessAborted(signal, proof);
    } catch (error) {
      if (!signal.aborted) throw error;
      return { uncertified: 'Nobody waited for it: npm run export writes the package with one.' };
    }
  };
}

/** What writes the package of the run in `dir` anew, and compares it on the same images. */
function exportCommand({ config, data, 'no-cache': noCache }: ImagesGiven, dir: string): string {
  const words = [
    ...(config === undefined ? [] : ['--config', config]),
    ...(dir === 'output' ? [] : ['--set', `output.dir=${dir}`]),
    // Decoded images that were kept are found by the model itself.
    ...(data === undefined || !noCache ? [] : ['--data', data, '--no-cache']),
  ];
  return ['npm run export --', ...words.map(quoted)].join(' ');
}
