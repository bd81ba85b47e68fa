import type {
  CertifiedFormat,
  Config,
  ErrorReport,
  ExportFormatId,
  FileCertificate,
  HowMany,
  WrittenFile,
} from '../../workers/protocol.ts';
import { saveFile } from '../saveFile.ts';
import { announce } from './announce.svelte.ts';
import { onComparing, type Comparing } from './comparing.ts';
import { during, model } from './model.svelte.ts';
import { problems } from './problems.svelte.ts';
import { run } from './run.svelte.ts';
import { provideStep } from './steps.svelte.ts';
import { ask, request } from './workers.svelte.ts';

/** What can be asked for: a format, or the zip with everything. */
export type Choice = ExportFormatId | 'bundle';

/** What became of the comparison with the trained network. */
type Check =
  /** Weights: there is nothing to run. */
  | { readonly state: 'none' }
  | { readonly state: 'running' }
  | ({ readonly state: 'passed' } & FileCertificate)
  | ({ readonly state: 'failed' } & FileCertificate)
  /** Cancelled, or without images. */
  | { readonly state: 'unknown'; readonly error: ErrorReport };

/** A file that was written, and what is known of it. */
export interface Attempt {
  readonly runId: string;
  readonly choice: Choice;
  /** Of all that it was made of: an equal key is the same file. */
  readonly key: string;
  readonly output: Config['output'];
  readonly file: WrittenFile;
  readonly check: Check;
  /** Whether it was handed to the user. */
  readonly saved: boolean;
}

export interface Working extends Comparing {
  /** `writing` and the first moments of `checking`: before the first image, 0 of 0. */
  readonly what: 'writing' | 'checking';
}

/** A certificate of the chosen model, beside what it is of. */
export interface Measured {
  readonly runId: string;
  readonly choice: Choice;
  readonly file: Pick<WrittenFile, 'precision' | 'weights'>;
  readonly images: number;
  readonly maxDifference: number;
  readonly flips: number;
}

const nothing = { image: 0, total: 0, share: 0, secondsLeft: null } as const;

/** The newest of each run. */
let attempts = $state.raw<readonly Attempt[]>([]);
let measured = $state.raw<readonly Measured[]>([]);
let working = $state.raw<Working | null>(null);
let choice = $state<Choice>('mlpackage');

const current = $derived(attempts.find(({ runId }) => runId === model.summary?.id) ?? null);

/** Files of the Export step: written, compared with the trained network, and handed over once that passed. */
export const exporting = {
  /** The format that the user picked. */
  get choice(): Choice {
    return choice;
  },
  choose(picked: Choice): void {
    choice = picked;
  },
  /** The newest file of the model that is chosen. */
  get current(): Attempt | null {
    return current;
  },
  get working(): Working | null {
    return working;
  },
  /** Certificates of the chosen model, newest first, one a form. */
  get measured(): readonly Measured[] {
    return measured.filter(({ runId }) => runId === model.summary?.id);
  },
  /** The key of what would be written now. */
  keyOf(choice: Choice, output: Config['output']): string {
    const { summary } = model;
    // It says how it did on Test, which may come to be known later.
    return JSON.stringify([summary?.id, summary?.bestEpoch, choice, output, model.test?.accuracy ?? null]);
  },

  /** Writes, compares and saves. What was written and passed already is only saved again. */
  async write(choice: Choice, certified: boolean, output: Config['output']): Promise<void> {
    const runId = model.summary?.id;
    if (runId === undefined || working !== null || model.working !== null) return;
    const key = exporting.keyOf(choice, output);
    if (current?.key === key && (current.check.state === 'passed' || current.check.state === 'none')) {
      save(current);
      return;
    }
    // Fewer images must not acquit what more have shown.
    if (current?.key === key && current.check.state === 'failed') return;
    if (choice === 'bundle') return bundle(runId, key, output, 'as set');
    working = { what: 'writing', ...nothing };
    const file = await during('writing the file', () => ask('model', 'exportModel', { runId, format: choice, output }));
    working = null;
    if (file === undefined) return;
    const attempt: Attempt = {
      ...{ runId, choice, key, output, file },
      check: certified ? { state: 'running' } : { state: 'none' },
      saved: false,
    };
    put(attempt);
    if (certified) await compare(attempt, 'as set');
    else save(attempt);
  },
  /** Compares the same file once more. */
  async check(howMany: HowMany): Promise<void> {
    if (current === null || working !== null || model.working !== null) return;
    if (current.choice === 'bundle') return bundle(current.runId, current.key, current.output, howMany);
    await compare(current, howMany);
  },
  cancel(): void {
    void ask('model', 'cancelCertificate', null);
  },
  /** Again, or all the same. */
  save(): void {
    if (current !== null) save(current);
  },
};

/** Written and compared in one go: a bundle that was cancelled is none. */
async function bundle(runId: string, key: string, output: Config['output'], howMany: HowMany): Promise<void> {
  const made = await whileChecking(() => request('model', 'exportBundle', { runId, output, howMany }));
  if (!made.ok) {
    if (made.error.name === 'CertificateCancelledError') announce('The check was cancelled; no bundle was written.');
    else problems.show(made.error);
    return;
  }
  const { check, ...file } = made.value;
  const attempt: Attempt = {
    ...{ runId, choice: 'bundle', key, output, file, saved: false },
    check: check.certificate === null ? { state: 'unknown', error: check.error } : judged(check),
  };
  put(attempt);
  conclude(attempt);
}

async function compare(attempt: Attempt, howMany: HowMany): Promise<void> {
  const { runId, choice, file, output } = attempt;
  put({ ...attempt, check: { state: 'running' } });
  const answer = await whileChecking(() =>
    request('model', 'certify', { runId, format: choice as CertifiedFormat, file, output, howMany }),
  );
  // A comparison that was asked for beside one that is there leaves it where it was cancelled.
  const before = attempt.check.state === 'passed' || attempt.check.state === 'failed' ? attempt.check : null;
  const check: Check = answer.ok ? judged(answer.value) : (before ?? { state: 'unknown', error: answer.error });
  const done = { ...attempt, check };
  put(done);
  if (!answer.ok && before !== null) {
    if (answer.error.name === 'CertificateCancelledError') announce(answer.error.message);
    else problems.show(answer.error);
  } else conclude(done);
}

function judged(result: FileCertificate): Check {
  return { state: result.certificate.passed ? 'passed' : 'failed', ...result };
}

/** A file that passed goes to the user; of any other it is said why it doesn't. */
function conclude(attempt: Attempt): void {
  const { runId, choice, file, check, saved } = attempt;
  if (check.state === 'unknown') {
    announce(`${check.error.message} ${file.fileName} is held back.`, 'assertive');
    return;
  }
  if (check.state !== 'passed' && check.state !== 'failed') return;
  const { images, maxDifference, flips } = check.certificate;
  const same = (one: Measured): boolean =>
    one.runId === runId &&
    one.choice === choice &&
    one.file.precision === file.precision &&
    one.file.weights === file.weights;
  if (images > 0)
    measured = [{ runId, choice, file, images, maxDifference, flips }, ...measured.filter((one) => !same(one))];
  if (check.state === 'failed') {
    const but = saved ? 'it was downloaded before' : `${file.fileName} is held back`;
    announce(`The certificate failed: ${but}.`, 'assertive');
  } else if (saved) announce('The certificate passed.');
  else save(attempt, 'The certificate passed. ');
}

function save(attempt: Attempt, before = ''): void {
  saveFile(attempt.file.blob, attempt.file.fileName);
  put({ ...attempt, saved: true });
  announce(`${before}${attempt.file.fileName} is saved.`);
}

/** In the place of the run's last one. */
function put(attempt: Attempt): void {
  attempts = [attempt, ...attempts.filter(({ runId }) => runId !== attempt.runId)];
}

async function whileChecking<T>(work: () => Promise<T>): Promise<T> {
  working = { what: 'checking', ...nothing };
  const quiet = onComparing((state) => (working = { what: 'checking', ...state }));
  try {
    return await work();
  } finally {
    quiet();
    working = null;
  }
}

/** Where the run had been here before, it has another model now. */
run.onEnded((ended) => {
  attempts = attempts.filter(({ runId }) => runId !== ended);
  measured = measured.filter(({ runId }) => runId !== ended);
});

provideStep('export', () => {
  if (!model.summary) return { state: 'empty', note: 'needs a trained model' };
  if (working !== null)
    return working.what === 'writing'
      ? { state: 'working', progress: null, note: 'writing' }
      : { state: 'working', progress: working.share, note: 'checking' };
  if (current === null || current.check.state === 'running') return { state: 'ready', note: 'ready' };
  if (current.check.state === 'failed') return { state: 'failed', note: 'certificate failed' };
  if (current.saved) return { state: 'done', note: 'downloaded' };
  return { state: 'ready', note: 'not downloaded' };
});
