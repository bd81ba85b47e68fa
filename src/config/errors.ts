import { UserError } from '../errors.ts';

export interface ConfigIssue {
  /** `training.learning_rate`; empty where the whole file is meant. */
  readonly path: string;
  /** File or other origin: `configs/base.yaml`, `address`, `page`. */
  readonly source: string;
  /** From 1; null where the value comes from no file. */
  readonly line: number | null;
  readonly column: number | null;
  /** What was found and what is allowed, a sentence without the place. */
  readonly message: string;
}

/** Settings that cannot be used. `message` names every issue with its source and line. */
export class ConfigError extends UserError {
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[]) {
    super(issues.map(issueText).join('\n'), {
      kept: 'The settings that were in use before are unchanged.',
      remedy:
        issues.length === 1
          ? 'Correct this value and try again; configs/base.yaml shows every setting with its default.'
          : `Correct these ${issues.length} values and try again; configs/base.yaml shows every setting with its default.`,
    });
    this.issues = issues;
  }
}

/** Parts of the page's address that can't be used. `message` names each of them. */
export class LinkError extends UserError {
  constructor(issues: readonly ConfigIssue[]) {
    super(issues.map(({ message }) => `In the link: ${message}`).join('\n'), {
      kept: 'Everything else that the link says counts.',
      remedy: 'Correct the link, or ask whoever sent it. All settings can be changed on the page, too.',
    });
  }
}

/** `my.yaml, line 12: training.epochs is "many"; allowed: …`. */
function issueText(issue: ConfigIssue): string {
  const place = issue.line === null ? issue.source : `${issue.source}, line ${issue.line}`;
  return `${place}: ${issue.message}`;
}
