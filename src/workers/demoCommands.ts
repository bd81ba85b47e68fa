import { architectures } from '../architectures/index.ts';
import type { ArchitectureName } from '../architectures/settings.ts';
import { openArchive } from '../dataset/archive.ts';
import { readDemoPage, type DemoFolder } from '../export/demo/demoPage.ts';
import { demoZip } from '../export/demo/demoZip.ts';
import { readModel } from '../export/demo/readModel.ts';
import { hashBytes } from '../registry/checksums.ts';
import { writeCheckpoint } from '../training/checkpoint.ts';
import { NoCheckpointError } from '../training/errors.ts';
import { trainedModel } from '../training/trainedModel.ts';
import type { RunStore } from '../training/types.ts';
import type { Handlers } from './endpoint.ts';
import type { ModelCommands } from './protocol.ts';

export type DemoCommands = Pick<Handlers<ModelCommands>, 'exportDemo' | 'openModel'>;

/** What the commands about shared models need. */
export interface DemoPlatform extends Pick<Handlers<ModelCommands>, 'openCheckpoint'> {
  readonly runs: RunStore;
  /** Built beside this page. */
  readonly demoFolder: DemoFolder;
}

/** Models that are shared: out as a page that shows them, and in from one. */
export function demoCommands({ runs, demoFolder, openCheckpoint }: DemoPlatform): DemoCommands {
  return {
    exportDemo: async ({ runId, output }) => {
      const record = await runs.read(runId);
      if (record === undefined) throw new NoCheckpointError();
      const { checkpoint, run } = await trainedModel(runs, runId);
      const { epoch, dataset, config, batchNormEps, temperature } = checkpoint;
      const architecture = checkpoint.architecture as ArchitectureName;
      const { mean, std } = architectures[architecture];
      const report = run.test?.epoch === epoch ? run.test.report : null;
      const weights = writeCheckpoint({
        ...checkpoint,
        // Of its run there is this one epoch, under the name that it goes out with.
        bestEpoch: epoch,
        history: checkpoint.history.slice(0, epoch),
        config: { ...config, output },
        optimiser: { ...checkpoint.optimiser, moments: new Map() },
      });
      const { fileName, bytes } = await demoZip(
        await readDemoPage(demoFolder),
        {
          name: output.model_name,
          version: output.version,
          architecture,
          ...(batchNormEps != null && { batchNormEps }),
          labels: [...dataset.classes],
          imageSize: config.data.img_size,
          geometry: config.data.geometry,
          mean: [...mean],
          std: [...std],
          ...(temperature !== undefined && { temperature }),
          dataset: { name: dataset.name, synthetic: dataset.synthetic },
          test: report && { n: report.n, accuracy: report.accuracy, interval: [...report.accuracyInterval] },
          author: output.author,
          description: output.description,
          intendedUse: output.intended_use,
          createdAt: new Date(record.createdAt).toISOString(),
        },
        weights,
      );
      return { fileName, blob: new Blob([bytes], { type: 'application/zip' }), sha256: hashBytes(bytes) };
    },

    openModel: async ({ file, name }) => {
      const { files } = await openArchive(file, name);
      const { weights } = await readModel(files, name);
      return openCheckpoint({ file: new Blob([weights as Uint8Array<ArrayBuffer>]), name });
    },
  };
}
