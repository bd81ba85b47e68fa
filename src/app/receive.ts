import { UserError } from '../errors.ts';
import type { Dropped } from './drop.ts';
import { config } from './state/config.svelte.ts';
import { datasets } from './state/datasets.svelte.ts';
import { inbox } from './state/inbox.svelte.ts';
import { go } from './state/navigation.svelte.ts';
import { problems } from './state/problems.svelte.ts';
import { weights } from './state/weights.svelte.ts';

export class UnknownFileError extends UserError {
  constructor(names: readonly string[]) {
    super(
      `${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}: nothing here knows what to do with this.`,
      {
        kept: 'Nothing was read.',
        remedy:
          'Drop a zip or a folder of images (a data set), a .safetensors or .pth file (weights), a .yaml file (settings), or one image (Try).',
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
  if (folder !== null) {
    go('data');
    await datasets.importFiles(files, folder, 'folder');
    return;
  }
  const sorted = files.map(({ path, file }) => ({
    path,
    file: file as File,
    kind: kinds.find(({ pattern }) => pattern.test(path))?.kind,
  }));
  const images = sorted.filter(({ kind }) => kind === 'image');
  const unknown = sorted.filter(({ kind }) => kind === undefined);
  if (unknown.length > 0) problems.showError(new UnknownFileError(unknown.map(({ path }) => path)));
  if (images.length > 1) problems.showError(new LooseImagesError(images.length));

  for (const { file } of sorted.filter(({ kind }) => kind === 'settings')) await config.useFile(file);
  for (const { file } of sorted.filter(({ kind }) => kind === 'weights')) await weights.importFile(file);
  const zip = sorted.find(({ kind }) => kind === 'zip');
  if (zip) {
    go('data');
    await datasets.importFiles([{ path: zip.path, file: zip.file }], zip.path.replace(/\.zip$/i, ''), 'zip');
  } else if (images.length === 1 && images[0]) {
    inbox.image = images[0].file;
    go('try');
  }
}
