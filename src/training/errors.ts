import { UserError } from '../errors.ts';

const stored = 'The data set and earlier runs are still on this computer.';

/** Fewer than two images are left to train on: BatchNorm and a gradient need two. */
export class NoTrainingImagesError extends UserError {
  constructor(count: number) {
    super(count === 0 ? 'The data set has no image to train on.' : 'The data set has a single image to train on.', {
      kept: stored,
      remedy: 'Use a data set with several images for each class in Train, or lower data.validation_split.',
    });
  }
}

/** `training.class_weights` names classes that the data set doesn't have. */
export class UnknownClassesError extends UserError {
  constructor(unknown: readonly string[], classes: readonly string[]) {
    const named = unknown.map((name) => `“${name}”`).join(', ');
    const some =
      classes.length > 12 ? `${classes.slice(0, 12).join(', ')} and ${classes.length - 12} more` : classes.join(', ');
    super(`training.class_weights has a weight for ${named}, which the data set doesn't have.`, {
      kept: stored,
      remedy: `Write names as the data set does, or leave them out. Its classes are ${some}.`,
    });
  }
}

/** The loss became NaN or infinite. */
export class NotANumberError extends UserError {
  constructor(epoch: number, step: number, learningRate: number, lastGood: number | null) {
    super(`The loss is no longer a number (epoch ${epoch}, step ${step}): training has diverged.`, {
      kept:
        lastGood === null
          ? 'No epoch had finished yet, so there is no model to keep.'
          : `The last good weights, those of epoch ${lastGood}, are kept and can be evaluated and exported.`,
      remedy: `Lower training.learning_rate (it is ${learningRate}), to a tenth for example, and start again.`,
    });
  }
}

/** A run's data set was deleted, or another one is stored under its name. */
export class DatasetChangedError extends UserError {
  constructor(name: string) {
    super(`The data set “${name}” that this run was trained on is not on this computer any more.`, {
      kept: 'The run and its checkpoints are still here: its model can be exported and tried.',
      remedy: 'Drop the same data set again to resume or evaluate the run.',
    });
  }
}

/** There is no such run, or it ended before its first checkpoint. */
export class NoCheckpointError extends UserError {
  constructor() {
    super('This run has no model yet: it ended before its first epoch did.', {
      kept: stored,
      remedy: 'Start the run again, or choose another one.',
    });
  }
}

/** `stop` came while device and weights were made ready, or `suspend` before the first epoch was whole. */
export class StoppedBeforeFirstStepError extends UserError {
  constructor(before: 'step' | 'epoch' = 'step') {
    super(`The run was stopped before its first ${before === 'step' ? 'step' : 'epoch was finished'}.`, {
      kept:
        before === 'step'
          ? `${stored} Nothing had been learnt yet, so nothing of this run is kept.`
          : `${stored} Nothing of this run is kept: only whole epochs are.`,
      remedy: 'Start it again when you like.',
    });
  }
}

/** A checkpoint, stored or opened, that can't be used. */
export class CheckpointUnreadableError extends UserError {
  constructor(reason: string, cause?: unknown) {
    super(`The checkpoint can't be read: ${reason.replace(/\.$/, '')}.`, {
      kept: 'It was left as it is.',
      remedy:
        'Copy it again if it was cut short, open it with the version of the app that wrote it, or start a new run.',
      cause,
    });
  }
}

/** What a checkpoint's run would draw next is not what this version would: going on would silently be another run. */
export class OtherDrawsError extends UserError {
  constructor(reason: string) {
    super(`This run can't be gone on with as if it had never stopped: ${reason}.`, {
      kept: 'Nothing was changed: its model can be evaluated, exported and tried.',
      remedy: 'Resume it with the version of the app that wrote its checkpoint, or start a new run from its weights.',
    });
  }
}

/** A file was opened as a checkpoint that has weights, but nothing of the run that made them. */
export class NotACheckpointError extends UserError {
  constructor(name: string) {
    super(`${name} is a file of weights, not a checkpoint: it does not say what run they are from or how to go on.`, {
      kept: 'Nothing was changed.',
      remedy: 'Take it as the weights that a new run starts from, or open a checkpoint_….safetensors file.',
    });
  }
}

/** Another tab or window holds the trainer's lock. */
export class TrainingElsewhereError extends UserError {
  constructor() {
    super('Another tab of this browser is training.', {
      kept: 'Nothing was changed there or here.',
      remedy: 'Wait until it has finished, or stop it there; two runs at once would only slow each other down.',
    });
  }
}

/** The device was lost again and again. */
export class DeviceKeepsFailingError extends UserError {
  constructor(times: number, reason: string, lastGood: number | null) {
    super(`The graphics device was lost ${times} times (${reason}).`, {
      kept: lastGood === null ? stored : `The checkpoint of epoch ${lastGood} is kept; the run can be resumed.`,
      remedy: 'Close other programs that use the graphics card, lower data.batch_size, or set training.device: wasm.',
    });
  }
}

/** A command came while a run is on. */
export class AlreadyTrainingError extends UserError {
  constructor() {
    super('A run is already on.', {
      kept: 'It goes on.',
      remedy: 'Stop it first, or wait until it has finished.',
    });
  }
}
