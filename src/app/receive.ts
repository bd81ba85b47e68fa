import { UserError } from '../errors.ts';
import type { NamedFile } from '../workers/protocol.ts';
import { checkpointSettings } from './checkpointFile.ts';
import type { Dropped } from './drop.ts';
import { arrivals } from './state/arrivals.svelte.ts';
import { config } from './state/config.svelte.ts';
import { datasets } from './state/datasets.svelte.ts';
import { inbox } from './state/inbox.svelte.ts';
import { go } from './state/navigation.svelte.ts';
import { openModel } from './state/openModel.ts';
import { problems } from './state/problems.svelte.ts';
import { run } from './state/run.svelte.ts';
import { weights } from './state/weights.svelte.ts';
import { ask } from './state/workers.svelte.ts';

export class UnknownFileError extends UserError {
  constructor(names: readonly string[]) {
    super(
      `${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}: nothing here knows what to do with this.`,
      {
        kept: 'Nothing was read.',
        remedy:
          'Drop a zip or a folder of images (a data set), the zip of a demo page (a model), a .safetensors, .pt or .pth file (weights, or a checkpoint), a .yaml file (settings), or one image (Try).',
      },
    );
  }
}

export class LooseImagesError extends UserError {
  constructor(n: number) {
    super(`${n} images without a folder: the classes are missing.`, {
      kept: 'Nothing was read.',
      remedy: 'Put the images of each class into a folder named like the class, and drop the folder that holds these.',
    });
  }
}

const kinds = [
  { kind: 'zip', pattern: /\.zip$/i },
  { kind: 'weights', pattern: /\.(safetensors|pth|pt)$/i },
  { kind: 'settings', pattern: /\.ya?ml$/i },
  { kind: 'image', pattern: /\.(jpe?g|png|webp|gif|bmp|avif|tiff?)$/i },
] as const;

/** Takes anything that is dropped on the page to where it belongs. */
export async function receive({ files, folder }: Dropped): Promise<void> {
  if (folder !== null) return receiveImages({ files, name: folder, source: 'folder' });
  const sorted = files.map(({ path, file }) => ({
    path,
    file: file as File,
    kind: kinds.find(({ pattern }) => pattern.test(path))?.kind,
  }));
  const images = sorted.filter(({ kind }) => kind === 'image');
  const zips = sorted.filter(({ kind }) => kind === 'zip');
  const unknown = sorted.filter(({ kind }) => kind === undefined);
  if (unknown.length > 0) problems.showError(new UnknownFileError(unknown.map(({ path }) => path)));
  if (images.length > 1) problems.showError(new LooseImagesError(images.length));

  for (const { file } of sorted.filter(({ kind }) => kind === 'settings')) await config.useFile(file);
  for (const { file } of sorted.filter(({ kind }) => kind === 'weights')) {
    const settings = await checkpointSettings(file);
    if (settings) arrivals.wait({ kind: 'checkpoint', name: file.name, file, settings });
    else await weights.importFile(file);
  }
  for (const { path, file } of zips) {
    if (await ask('dataset', 'holdsModel', { file })) await openModel(file, path);
    else await receiveImages(imagesOfZip(path, file));
  }
  if (zips.length === 0 && images.length === 1 && images[0]) {
    inbox.image = images[0].file;
    go('try');
  }
}

/** Images for a data set, before it is known which. */
export interface Images {
  readonly files: readonly NamedFile[];
  /** Of the archive or the folder, without extension. */
  readonly name: string;
  readonly source: 'zip' | 'folder';
}

export function imagesOfZip(path: string, file: Blob): Images {
  return { files: [{ path, file }], name: path.replace(/\.zip$/i, ''), source: 'zip' };
}

/** Where there is a data set, or one is being read, the user says whether this is more of it or another one. */
async function receiveImages(images: Images): Promise<void> {
  if (datasets.current !== null || datasets.importing) arrivals.wait({ kind: 'images', ...images });
  else await openImages(images);
}

export async function openImages({ files, name, source }: Images): Promise<void> {
  go('data');
  await datasets.importFiles(files, name, source);
}

/**
 * More images for the data set in use. It keeps the split that its newest run really had, which may stem from the model that the run
 * started from; where there is no run, the one that the settings ask for.
 */
export async function addImages(images: Images): Promise<void> {
  const dataset = datasets.current;
  if (!dataset) return openImages(images);
  go('data');
  // The newest may be under way, or have been trained in another tab.
  await run.load();
  const trained = run.summaries.find((one) => one.dataset.hash === dataset.hash);
  const { validation_split, test_split, seed } = (trained?.config ?? config.effective).data;
  const members = trained ? await ask('trainer', 'membersOf', { runId: trained.id }) : null;
  // A failure is shown; without the split that the model had, its Test images would not stay sealed.
  if (members === undefined) return;
  await datasets.addFiles(dataset, images, { validation_split, test_split, seed }, members);
}
