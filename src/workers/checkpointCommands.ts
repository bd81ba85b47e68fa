import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { buildGraph } from '../architectures/index.ts';
import { architectureNames, type ArchitectureName } from '../architectures/settings.ts';
import type { ConfigTree } from '../config/tree.ts';
import { issuesOf } from '../config/validate.ts';
import { findDataset } from '../dataset/identity.ts';
import { splitWith } from '../dataset/members.ts';
import { sizesOf } from '../dataset/split.ts';
import type { DatasetStore, Split } from '../dataset/types.ts';
import { parametersOf, sizeOf } from '../graph/parameters.ts';
import type { Graph, Tensor } from '../graph/types.ts';
import { sameBytes } from '../registry/checksums.ts';
import { batchRanges } from '../training/batches.ts';
import { countsOf, readCheckpoint, writeCheckpoint } from '../training/checkpoint.ts';
import { CheckpointUnreadableError, NoCheckpointError, NotACheckpointError } from '../training/errors.ts';
import type { UntimedEvent } from '../training/emit.ts';
import type { RunEvent } from '../training/events.ts';
import { slotsOf } from '../training/optimiser.ts';
import type { Checkpoint, RunRecord, RunStore } from '../training/types.ts';
import { CHECKPOINT_METADATA } from '../weights/metadata.ts';
import { isPyTorchFile } from '../weights/pytorch/container.ts';
import { readSafetensorsMetadata } from '../weights/safetensors.ts';
import type { Handlers } from './endpoint.ts';
import type { ModelCommands } from './protocol.ts';
import { summaryOf } from './runSummary.ts';

export interface CheckpointPlatform {
  readonly datasets: DatasetStore;
  readonly runs: RunStore;
}

/** Checkpoints as files: out to another computer, and in from one. */
export function checkpointCommands({
  datasets,
  runs,
}: CheckpointPlatform): Pick<Handlers<ModelCommands>, 'checkpointFile' | 'openCheckpoint'> {
  return {
    checkpointFile: async ({ runId, which }) => {
      const stored = await runs.readCheckpoint(runId, which);
      if (stored === undefined) throw new NoCheckpointError();
      const bytes = new Uint8Array(stored);
      return {
        fileName: `checkpoint_${which}.safetensors`,
        blob: new Blob([bytes], { type: 'application/octet-stream' }),
        sha256: bytesToHex(sha256(bytes)),
      };
    },

    openCheckpoint: async ({ file, name }) => {
      const given = new Uint8Array(await file.arrayBuffer());
      const { checkpoint, graph } = checkedCheckpoint(given, name);
      const { epoch, bestEpoch } = checkpoint;
      // Of its run the file holds these weights alone: for the run that it becomes they are the best so far.
      const bytes = bestEpoch === epoch ? given : writeCheckpoint({ ...checkpoint, bestEpoch: epoch });
      let id = checkpoint.runId;
      const there = await runs.read(id);
      if (there !== undefined) {
        const stored = await Promise.all([runs.readCheckpoint(id, 'latest'), runs.readCheckpoint(id, 'best')]);
        if (stored.some((one) => one !== undefined && (sameBytes(one, given) || sameBytes(one, bytes))))
          return summaryOf(there);
        // Another state of that run is here already. The new name follows from the content: opened twice, it is one run.
        id += `-${bytesToHex(sha256(bytes)).slice(0, 8)}`;
        const opened = await runs.read(id);
        if (opened !== undefined) return summaryOf(opened);
      }
      const record = recordOf(id, checkpoint, Date.now());
      try {
        const counts = await countsFor(checkpoint, datasets);
        // Cut off in between, it is no run yet; opened once more, its log begins anew.
        await runs.appendEvents(id, logOf(id, name, checkpoint, graph, counts, bytes.length, record.createdAt));
        return summaryOf(await runs.writeCheckpoint(record, epoch, bytes));
      } catch (error) {
        await runs.delete(id).catch(() => undefined);
        throw error;
      }
    },
  };
}

/** A file from outside, read and looked at. Throws `NotACheckpointError`, `CheckpointUnreadableError`. */
export function checkedCheckpoint(bytes: Uint8Array, name: string): { checkpoint: Checkpoint; graph: Graph } {
  if (isPyTorchFile(bytes) || readSafetensorsMetadata(bytes)[CHECKPOINT_METADATA] === undefined)
    throw new NotACheckpointError(name);
  const checkpoint = readCheckpoint(bytes);
  return { checkpoint, graph: checkedGraph(checkpoint) };
}

function recordOf(id: string, checkpoint: Checkpoint, createdAt: number): RunRecord {
  const { epoch, config, dataset, members } = checkpoint;
  return {
    schema: 4,
    id,
    createdAt,
    config,
    dataset,
    weightsId: null,
    ...(members && { members }),
    state: epoch < config.training.epochs ? 'stopped' : 'completed',
    latestEpoch: epoch,
    bestEpoch: epoch,
    storedBytes: 0,
  };
}

/** The log that the run would have left, as far as the checkpoint knows it. */
function logOf(
  runId: string,
  name: string,
  checkpoint: Checkpoint,
  graph: Graph,
  counts: Readonly<Record<Split, number>>,
  bytes: number,
  at: number,
): RunEvent[] {
  const { config, dataset, epoch, origin, history, bestEpoch, batchnormBatch } = checkpoint;
  const { epochs } = config.training;
  const trainable = parametersOf(graph).filter((one) => one.trainable);
  const split = batchnormBatch < config.data.batch_size;
  const notices = [
    `Opened from the file ${name}: a checkpoint of epoch ${epoch} of ${epochs}.`,
    ...(bestEpoch === null || bestEpoch === epoch
      ? []
      : [
          `The best epoch of this run was ${bestEpoch}; this file has the weights of epoch ${epoch}. For the best ones open ` +
            'checkpoint_best.safetensors of the same run.',
        ]),
  ];
  const events: UntimedEvent[] = [
    {
      type: 'runStarted',
      runId,
      config,
      dataset: { ...dataset, counts },
      parameters: trainable.reduce((sum, one) => sum + sizeOf(one.shape), 0),
      epochs,
      stepsPerEpoch: batchRanges(counts.train, config.data.batch_size).length,
    },
    { type: 'weightsReady', origin, warnings: [] },
    ...notices.map((text): UntimedEvent => ({ type: 'notice', text })),
    ...(split ? [{ type: 'batchSplit', batchnormBatch, reason: splitInWords(checkpoint) } as const] : []),
    ...history.flatMap((row): UntimedEvent[] => [
      { type: 'epochStarted', epoch: row.epoch },
      { type: 'epochEnded', ...row },
    ]),
    { type: 'checkpointSaved', epoch, best: true, bytes },
    { type: 'finished', reason: epoch < epochs ? 'stopped' : 'completed', bestEpoch: epoch },
  ];
  return events.map((event) => ({ at, ...event }));
}

const splitInWords = ({ config, batchnormBatch }: Checkpoint): string =>
  `Batches of ${config.data.batch_size} went through in parts of ${batchnormBatch} images; BatchNorm saw a part at a time.`;

/** By the data set where it is stored; else as far as the checkpoint tells. */
async function countsFor(checkpoint: Checkpoint, datasets: DatasetStore): Promise<Record<Split, number>> {
  const { config, members, history } = checkpoint;
  const dataset = await findDataset(datasets, checkpoint.dataset);
  if (dataset !== undefined) return sizesOf(splitWith(dataset, config.data, members ?? null));
  const told = countsOf(checkpoint);
  if (told) return told;
  return { train: history[0]?.train.n ?? 0, val: history[0]?.validation?.n ?? 0, test: 0 };
}

/**
 * What comes from outside is looked at before it is stored: the configuration, the history, every tensor. Settings of `output` may
 * be missing: an older version did not know them all.
 */
function checkedGraph(checkpoint: Checkpoint): Graph {
  const { architecture, batchNormEps, config, dataset, epoch, history, optimiser, weights } = checkpoint;
  const tree = config as unknown as ConfigTree;
  const originOf = () => ({ source: 'checkpoint', place: null });
  const [issue] = issuesOf(tree, { partial: false, originOf }).filter(
    ({ path, message }) => !(path.startsWith('output.') && message.includes(' is missing')),
  );
  if (issue !== undefined) throw new CheckpointUnreadableError(`in its configuration, ${issue.message}`);
  if (!architectureNames.some((known) => known === architecture) || architecture !== config.model.architecture)
    throw new CheckpointUnreadableError(`it is of an architecture that this version doesn't know (${architecture})`);
  if (history.some((row, i) => row.epoch !== i + 1) || history.length !== epoch)
    throw new CheckpointUnreadableError('its history does not end with its epoch');

  const graph = buildGraph(architecture as ArchitectureName, dataset.classes.length, { batchNormEps });
  const specs = new Map(parametersOf(graph).map((spec) => [spec.name, spec.shape]));
  const stray = [...weights].find(([name, { shape }]) => !sameShape(specs.get(name), shape))?.[0];
  const lacking = [...specs.keys()].find((name) => !weights.has(name));
  const slots = slotsOf(config.training);
  const moment = [...optimiser.moments].find(([name, { shape }]) => {
    const dot = name.lastIndexOf('.');
    return !slots.includes(name.slice(dot + 1)) || !sameShape(specs.get(name.slice(0, dot)), shape);
  })?.[0];
  // A head is trained on a backbone that has no moments; a checkpoint without any is good to use, and the optimiser starts anew.
  const trained = parametersOf(graph).filter(
    ({ trainable, node }) => trainable && (config.training.layers === 'all' || node === graph.head),
  );
  const half =
    optimiser.moments.size === 0
      ? undefined
      : trained
          .flatMap(({ name }) => slots.map((slot) => `${name}.${slot}`))
          .find((name) => !optimiser.moments.has(name));
  if (half !== undefined) throw new CheckpointUnreadableError(`its optimiser's state lacks ${half}`);
  const wrong = stray ?? lacking ?? moment;
  if (wrong !== undefined) throw new CheckpointUnreadableError(`its ${wrong} does not fit ${architecture}`);
  return graph;
}

const sameShape = (wanted: readonly number[] | undefined, shape: Tensor['shape']): boolean =>
  wanted !== undefined && wanted.length === shape.length && wanted.every((size, axis) => size === shape[axis]);
