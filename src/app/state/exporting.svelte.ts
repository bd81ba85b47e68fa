import { reportOf } from '../../errors.ts';
import { CertificateCancelledError } from '../../workers/clients.ts';
import type {
  CertifiedFormat,
  Config,
  ErrorReport,
  ExportFormatId,
  FileCertificate,
  HowMany,
  Outcome,
  WrittenFile,
} from '../../workers/protocol.ts';
import { saveFile } from '../saveFile.ts';
import { announce } from './announce.svelte.ts';
import { comparingOf, onWork, type Comparing } from './comparing.ts';
import { model } from './model.svelte.ts';
import { problems } from './problems.svelte.ts';
import { run } from './run.svelte.ts';
import { provideStep } from './steps.svelte.ts';
import { request } from './workers.svelte.ts';
import { beginWork, type Work } from './works.svelte.ts';

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
let said = $state('');

/** What is under way. What an earlier one answers that was called off is dropped. */
let task: { readonly work: Work; readonly oncancel: () => void } | null = null;

const current = $derived(attempts.find(({ runId }) => runId === model.summary?.id) ?? null);

/** Files of the Export step: written, compared with the trained network, and handed over once that passed. */
export const exporting = {
  /** The format that the user picked. */
  get choice(): Choice {
    return choice;
  },
  choose(picked: Choice): void {
    choice = picked;
    said = '';
  },
  /** The newest file of the model that is chosen. */
  get current(): Attempt | null {
    return current;
  },
  get working(): Working | null {
    return working;
  },
  /** What became of the last one that was called off; '' once something else was asked for. */
  get said(): string {
    return said;
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
    if (runId === undefined || working !== null) return;
    const key = exporting.keyOf(choice, output);
    if (current?.key === key && (current.check.state === 'passed' || current.check.state === 'none')) {
      save(current);
      return;
    }
    // Fewer images must not acquit what more have shown.
    if (current?.key === key && current.check.state === 'failed') return;
    if (choice === 'bundle') return bundle(runId, key, output, 'as set');
    const work = begin('writing', () => say('Cancelled: nothing was written.'));
    const written = await request('model', 'exportModel', { runId, format: choice, output, workId: work.id });
    if (!over(work)) return;
    if (!written.ok) return problems.show(written.error);
    const file = written.value;
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
    if (current === null || working !== null) return;
    if (current.choice === 'bundle') return bundle(current.runId, current.key, current.output, howMany);
    await compare(current, howMany);
  },
  /** At once, whatever the worker is at: what it still writes is dropped. */
  cancel(): void {
    if (task === null) return;
    const { work, oncancel } = task;
    void request('model', 'cancel', { workId: work.id });
    over(work);
    oncancel();
  },
  /** Again, or all the same. */
  save(): void {
    if (current !== null) save(current);
  },
};

function begin(what: Working['what'], oncancel: () => void): Work {
  const work = beginWork();
  task = { work, oncancel };
  working = { what, ...nothing };
  said = '';
  return work;
}

/** False where it was called off before. */
function over(work: Work): boolean {
  if (task?.work !== work) return false;
  [task, working] = [null, null];
  work.over();
  return true;
}

function say(sentence: string): void {
  said = sentence;
  announce(sentence);
}

/** What the worker answers, while the page shows how far it is; null where it was called off meanwhile. */
async function whileChecking<T>(work: Work, asked: Promise<Outcome<T>>): Promise<Outcome<T> | null> {
  const quiet = onWork(work.id, (event) => {
    if (task?.work === work) working = { what: 'checking', ...comparingOf(event) };
  });
  const answer = await asked;
  quiet();
  return over(work) ? answer : null;
}

/** Written and compared in one go: a bundle that was cancelled is none, and one that is there stays as it is. */
async function bundle(runId: string, key: string, output: Config['output'], howMany: HowMany): Promise<void> {
  const before = current?.choice === 'bundle' && current.key === key;
  const work = begin('checking', () =>
    say(before ? 'Cancelled: the bundle stays as it was.' : 'Cancelled: no bundle was written.'),
  );
  announce('Writing the bundle, and comparing its package with the trained network.');
  const made = await whileChecking(work, request('model', 'exportBundle', { runId, output, howMany, workId: work.id }));
  if (made === null) return;
  if (!made.ok) return problems.show(made.error);
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
  // A comparison that was asked for beside one that is there leaves it where it was cancelled.
  const before = attempt.check.state === 'passed' || attempt.check.state === 'failed' ? attempt : null;
  const unknown = (error: ErrorReport): void => {
    const left: Attempt = { ...attempt, check: { state: 'unknown', error } };
    put(left);
    conclude(left);
  };
  const work = begin('checking', () => {
    if (before === null) return unknown(reportOf(new CertificateCancelledError()));
    put(before);
    say('Cancelled: the certificate stays as it was.');
  });
  put({ ...attempt, check: { state: 'running' } });
  announce(`Comparing ${file.fileName} with the trained network.`);
  const answer = await whileChecking(
    work,
    request('model', 'certify', {
      ...{ runId, format: choice as CertifiedFormat, file, output, howMany },
      workId: work.id,
    }),
  );
  if (answer === null) return;
  if (answer.ok) {
    const done = { ...attempt, check: judged(answer.value) };
    put(done);
    conclude(done);
  } else if (before === null) unknown(answer.error);
  else {
    put(before);
    problems.show(answer.error);
  }
}

function judged(result: FileCertificate): Check {
  return { state: result.certificate.passed ? 'passed' : 'failed', ...result };
}

/** A file that passed goes to the user; of any other it is said why it doesn't. */
function conclude(attempt: Attempt): void {
  const { runId, choice, file, check, saved } = attempt;
  if (check.state === 'unknown') {
    const but = saved ? 'It was downloaded before.' : `${file.fileName} is held back.`;
    announce(`${check.error.message} ${but}`, 'assertive');
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
