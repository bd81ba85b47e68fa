import { UserError } from '../errors.ts';

const kept = 'Nothing was started.';

/** A program that does the work isn't installed. */
export class NoCloudProgramError extends UserError {
  constructor(program: string) {
    const remedies: Record<string, string> = {
      sky: 'Install SkyPilot with pip install "skypilot[aws]", then sky check. docs/cloud.md has the rest.',
      aws: 'It comes with pip install "skypilot[aws]".',
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
