import { UserError } from '../errors.ts';

const kept = 'Nothing was started.';

/** A program that does the work isn't installed. */
export class NoCloudProgramError extends UserError {
  constructor(program: string) {
    // The version that docs/cloud.md names and tests/python/judge_cloud.py judges.
    const install = 'pip install "skypilot[aws]==0.14.1"';
    const remedies: Record<string, string> = {
      sky: `Install SkyPilot with ${install}, then sky check. docs/cloud.md has the rest.`,
      aws: `It comes with ${install}.`,
      gcloud: 'Install Google’s Cloud SDK.',
      ssh: 'Install OpenSSH’s client.',
    };
    super(`There is no program “${program}” on this computer.`, {
      kept,
      remedy: `${remedies[program] ?? 'Install it.'} --dry-run prints the command without running it.`,
    });
  }
}

/** Where data and checkpoints shall lie was not said. */
export class NoBucketError extends UserError {
  constructor(verb: string) {
    super(`${verb} needs the bucket that holds data and checkpoints, and none was named.`, {
      kept,
      remedy:
        'Make one once (its name must be unique in the world: aws s3 mb s3://NAME), then name it with --bucket NAME or the variable PACERID_BUCKET.',
    });
  }
}

/** A bucket's or a run's name that the clouds refuse. */
export class CloudNameError extends UserError {
  constructor(what: string, name: string, rule: string) {
    super(`“${name}” cannot be the name of a ${what}.`, { kept, remedy: rule });
  }
}

/** `launch --config` names a file that would not be on the machine. */
export class ConfigNotTakenError extends UserError {
  constructor(path: string, why: string) {
    super(`${path} would not be on the machine: ${why}.`, {
      kept,
      remedy:
        'SkyPilot takes the repository along, without what git ignores: put the file there, in configs/ for example.',
    });
  }
}
