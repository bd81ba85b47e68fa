import { deviceInWords } from '../engine/fasterDevice.ts';
import type { RunEvent } from '../training/events.ts';
import type { DatasetEvent } from '../workers/protocol.ts';
import { originInWords } from '../training/originInWords.ts';
import { bar, type Terminal } from './terminal.ts';
import { count, duration, megabytes, percent } from './words.ts';

/** Without a terminal a line within an epoch at most this often, ms. */
const PLAIN_EVERY = 10_000;
const BAR = 20;

type Event<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

/** Tells a person what the events say. `verbose: false`: nothing of single steps. */
export function reporter(out: Terminal, options: { readonly verbose: boolean }) {
  const { verbose } = options;
  let epochs = 0;
  let stepsPerEpoch = 0;
  let headed = false;
  let lastPlain = performance.now();
  const said = new Set<string>();
  const once = (text: string): void => {
    if (said.has(text)) return;
    said.add(text);
    out.line(text);
  };

  const progress = (what: string, done: number, total: number | null, rest: string): void => {
    const share = total === null ? '' : ` ${bar(done / Math.max(1, total), BAR)}`;
    out.status(`${what}${share} ${rest}`);
  };
  const plainly = (text: string): void => {
    if (out.live || performance.now() - lastPlain < PLAIN_EVERY) return;
    lastPlain = performance.now();
    out.line(text);
  };

  const step = (event: Event<'step'>): void => {
    if (!verbose) return;
    const { epoch, loss, secondsPerStep, imagesPerSecond, etaSeconds } = event;
    const rate =
      secondsPerStep === 0 ? '' : ` · ${secondsPerStep.toFixed(2)} s/it · ${imagesPerSecond.toFixed(1)} images/s`;
    const left = etaSeconds === null ? '' : ` · ${duration(etaSeconds)} left`;
    const figures = `${event.step}/${stepsPerEpoch} · loss ${loss.toFixed(3)}${rate}${left}`;
    progress(`Epoch ${epoch}/${epochs}`, event.step, stepsPerEpoch, figures);
    plainly(`Epoch ${epoch}/${epochs}, step ${figures}`);
  };

  const epochEnded = ({ epoch, train, validation, seconds, best }: Event<'epochEnded'>): void => {
    if (!headed) out.line('  epoch │ train loss accuracy precision │  val. loss accuracy precision │       time');
    headed = true;
    const figures = (m: typeof train | null): string =>
      m === null
        ? '         –        –         –'
        : `${m.loss.toFixed(3).padStart(10)} ${percent(m.accuracy).padStart(8)} ${percent(m.precision).padStart(9)}`;
    const number = `${epoch}/${epochs}`.padStart(7);
    out.line(
      `${number} │ ${figures(train)} │ ${figures(validation)} │ ${duration(seconds).padStart(10)}${best ? ' *' : ''}`,
    );
    lastPlain = performance.now();
  };

  return {
    importing: (event: DatasetEvent): void => {
      if (event.type === 'log') return out.line(event.message);
      if (event.type !== 'importProgress') return;
      const { stage, done, total, secondsLeft } = event;
      const left = secondsLeft === null ? '' : ` · ${duration(secondsLeft)} left`;
      const what = stage === 'drawing' ? 'Drawing images' : stage === 'reading' ? 'Reading images' : 'Storing images';
      progress(what, done, total, `${done}/${total}${left}`);
      if (done > 0 && done < total) plainly(`${what}: ${done} of ${total}${left}`);
    },

    training: (event: RunEvent): void => {
      switch (event.type) {
        case 'runStarted': {
          ({ epochs, stepsPerEpoch } = event);
          const { counts } = event.dataset;
          out.line(
            `Run ${event.runId}: ${event.parameters.toLocaleString('en')} parameters; ${count(counts.train, 'image')} to train on, ` +
              `${counts.val} for validation, ${counts.test} for Test; ${count(stepsPerEpoch, 'step')} an epoch, ${count(epochs, 'epoch')}.`,
          );
          return;
        }
        case 'resumed':
          out.line(
            event.fromEpoch === 0 ? 'Starts again from the first epoch.' : `Goes on after epoch ${event.fromEpoch}.`,
          );
          return;
        case 'deviceReady':
          once(`Device: ${deviceInWords(event.adapter)}.`);
          if (event.adapter.notice !== null) once(event.adapter.notice);
          return;
        case 'weightsReady':
          once(`Starts from ${originInWords(event.origin)}.`);
          for (const warning of event.warnings) once(`Warning: ${warning}`);
          return;
        case 'progress':
          if (event.what === 'weights' && event.done > 0) {
            const rest = `${megabytes(event.done)}${event.total === null ? '' : ` of ${megabytes(event.total)}`}`;
            const left = event.secondsLeft == null ? '' : `, ${duration(event.secondsLeft)} left`;
            progress(
              'Weights',
              event.done,
              event.total,
              rest + (event.waiting == null ? left : `. ${event.waiting} …`),
            );
            plainly(`Weights: ${rest}`);
          } else if (event.what === 'features') {
            const left = event.secondsLeft ? ` · ${duration(event.secondsLeft)} left` : '';
            progress('Computing features', event.done, event.total, `${event.done}/${event.total}${left}`);
            plainly(`Computing features: ${event.done} of ${event.total}${left}`);
          } else if (event.what === 'kernels') {
            progress('Preparing kernels', event.done, event.total, `${event.done} of ${event.total}`);
            plainly(`Preparing kernels: ${event.done} of ${event.total}`);
          } else if (event.what === 'cuts') {
            progress('Choosing kernels', event.done, event.total, `${event.done} of ${event.total}`);
            plainly(`Choosing kernels: ${event.done} of ${event.total}`);
          } else {
            out.status(
              { device: 'Opening the device …', weights: 'Weights …', 'first step': 'First step …' }[event.what],
            );
          }
          return;
        case 'forecast':
          return out.line(`An epoch takes about ${duration(event.secondsPerEpoch)}.`);
        case 'step':
          return step(event);
        case 'evaluating': {
          const what = event.split === 'val' ? 'Validation' : event.split === 'test' ? 'Test' : 'Train';
          progress(what, event.done, event.total, `${event.done}/${event.total}`);
          return;
        }
        case 'epochEnded':
          return epochEnded(event);
        case 'batchSplit':
          return out.line(event.reason);
        case 'notice':
          return once(event.text);
        case 'deviceLost':
          return out.line(
            `Warning: the graphics device was lost (${event.reason}). Going on from the last checkpoint.`,
          );
        case 'finished':
        case 'failed':
          return out.status('');
        default:
      }
    },
    /** Of a run that goes on: its log began in another process. */
    goingOn: (known: { readonly epochs: number; readonly stepsPerEpoch: number }): void => {
      ({ epochs, stepsPerEpoch } = known);
    },
  };
}
