import { reportOf, UserError, type ErrorReport } from '../../errors.ts';
import { announce } from './announce.svelte.ts';

/** A failure that the user has met and not yet dismissed. */
export interface Problem {
  readonly id: number;
  readonly report: ErrorReport;
  /** A button that does what the remedy says, where the page can. */
  readonly action: { readonly label: string; readonly run: () => void } | null;
}

let nextId = 1;
let list = $state.raw<readonly Problem[]>([]);

/** Chromium's, Firefox's and Safari's words for a part of the page that could not be fetched. */
const partMissing = /dynamically imported module|preload CSS|importing a module script failed/i;

class PagePartMissingError extends UserError {
  constructor(cause: unknown) {
    super('A part of this page could not be loaded: the network is away, or its host has a newer version.', {
      kept: 'Data sets, runs and versions are stored in this browser and stay.',
      remedy: 'Reload the page once there is a network and nothing is under way here.',
      cause,
    });
  }
}

export const problems = {
  get list(): readonly Problem[] {
    return list;
  },
  /** Shows a panel and reads it out. The same failure twice is one panel. */
  show(report: ErrorReport, action: Problem['action'] = null): void {
    list = [
      ...list.filter((other) => other.report.name !== report.name || other.report.message !== report.message),
      { id: nextId++, report, action },
    ];
    announce(`${report.message} ${report.remedy}`, 'assertive');
  },
  /** For what is thrown on the page itself. */
  showError(error: unknown): void {
    const missing = error instanceof Error && partMissing.test(error.message);
    problems.show(reportOf(missing ? new PagePartMissingError(error) : error));
  },
  dismiss(id: number): void {
    list = list.filter((problem) => problem.id !== id);
  },
};
