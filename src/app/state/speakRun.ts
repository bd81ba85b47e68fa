import type { RunEvent } from '../../workers/protocol.ts';
import { percent } from '../format.ts';
import { announce } from './announce.svelte.ts';

/** What comes of a stop before the first step: wanted, no failure. */
export const asWanted = new Set(['DownloadCancelledError', 'StoppedBeforeFirstStepError']);

/** Epoch ends, failures and the run's end; never every step. */
export function speak(event: RunEvent): void {
  if (event.type === 'epochEnded') {
    const judged = event.validation ?? event.train;
    const where = event.validation ? 'on validation' : 'on training images';
    announce(
      `Epoch ${event.epoch} is over: ${percent(judged.accuracy)} right ${where}${event.best ? ', the best so far' : ''}.`,
    );
  } else if (event.type === 'testEvaluated') {
    announce(`On the Test split ${percent(event.report.accuracy)} of ${event.report.n} images are right.`);
  } else if (event.type === 'failed' && !asWanted.has(event.error.name)) {
    announce(`Training failed. ${event.error.message} ${event.error.remedy}`, 'assertive');
  } else if (event.type === 'deviceLost') {
    announce('The graphics device was lost. Training goes on from the last checkpoint.', 'assertive');
  } else if (event.type === 'workerLost') {
    announce('The training worker ended. The run can be resumed.', 'assertive');
  } else if (event.type === 'finished') {
    announce(event.reason === 'completed' ? 'Training is complete.' : 'Training was stopped; what was learnt is kept.');
  }
}
