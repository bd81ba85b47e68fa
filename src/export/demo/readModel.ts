import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { ModelDamagedError, ModelWeightsMissingError, NotAModelError } from './errors.ts';
import { DESCRIPTION_PATH, isDescription, readDescription, type ModelDescription } from './modelDescription.ts';

/** A file of a zip, read when it is wanted. */
export interface ZippedFile {
  readonly path: string;
  readonly bytes: number;
  read(): Promise<Uint8Array>;
}

/** Labels of thousands of classes fit; a file that claims more is no description. */
const LARGEST_DESCRIPTION = 4 * 2 ** 20;

/** Whether somebody's model is in there, whole or not. Reads one small file at most. */
export async function holdsModel(files: readonly ZippedFile[]): Promise<boolean> {
  const found = descriptionIn(files);
  return found !== undefined && isDescription(await textOf(found));
}

/**
 * The model of a demo folder, wherever in the zip that lies: some tools put all into a folder more. Throws `NotAModelError`,
 * `ModelVersionError`, `ModelUnreadableError`, `ModelWeightsMissingError`, `ModelDamagedError`.
 */
export async function readModel(
  files: readonly ZippedFile[],
  name: string,
): Promise<{ readonly description: ModelDescription; readonly weights: Uint8Array }> {
  const found = descriptionIn(files);
  if (found === undefined) throw new NotAModelError(name);
  const description = readDescription(await textOf(found), name);
  const folder = found.path.slice(0, found.path.lastIndexOf('/') + 1);
  const entry = files.find(({ path }) => path === folder + description.weights.file);
  if (entry === undefined) throw new ModelWeightsMissingError(name, folder + description.weights.file);
  // Before it is unpacked: what claims more could fill the memory.
  checkSize(entry.bytes, description, name);
  let weights: Uint8Array;
  try {
    weights = await entry.read();
  } catch (error) {
    throw new ModelDamagedError(name, error instanceof Error ? error.message : String(error));
  }
  checkWeights(weights, description, name);
  return { description, weights };
}

/** Throws `ModelDamagedError` where these are not the bytes that the description speaks of. */
export function checkWeights(bytes: Uint8Array, description: ModelDescription, name: string): void {
  checkSize(bytes.length, description, name);
  const [found, expected] = [bytesToHex(sha256(bytes)), description.weights.sha256];
  if (found !== expected) throw new ModelDamagedError(name, `SHA-256 ${found}, expected ${expected}`);
}

function checkSize(bytes: number, { weights }: ModelDescription, name: string): void {
  if (bytes !== weights.bytes)
    throw new ModelDamagedError(name, `${bytes} bytes, where there should be ${weights.bytes}`);
}

/** The one that lies highest. */
function descriptionIn(files: readonly ZippedFile[]): ZippedFile | undefined {
  const depth = ({ path }: ZippedFile): number => path.split('/').length;
  return files
    .filter(({ path, bytes }) => `/${path}`.endsWith(`/${DESCRIPTION_PATH}`) && bytes <= LARGEST_DESCRIPTION)
    .sort((a, b) => depth(a) - depth(b))[0];
}

async function textOf(file: ZippedFile): Promise<string> {
  return new TextDecoder().decode(await file.read());
}
