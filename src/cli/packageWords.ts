import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificate } from '../parity/types.ts';
import { nodeFolder } from '../platform/node/folder.ts';
import { pathsUnder } from '../registry/paths.ts';
import { packageHash } from '../registry/proof.ts';
import { nodeHash } from './registry.ts';
import { certificateInWords } from './versionWords.ts';

/** A line for each package that lies in `dir`, or was held back there: what its certificate says, and whether it is of this package. */
export async function packagesInWords(dir: string): Promise<string[]> {
  const names = (await readdir(dir).catch((): string[] => [])).flatMap(
    (name) => /^(.+)\.mlpackage(\.certificate\.json)?$/.exec(name)?.[1] ?? [],
  );
  return Promise.all([...new Set(names)].sort().map((name) => packageInWords(dir, name)));
}

async function packageInWords(dir: string, name: string): Promise<string> {
  const at = join(dir, `${name}.mlpackage`);
  const certificate = await certificateAt(`${at}.certificate.json`);
  const there = await hashOf(dir, name);
  if (certificate === null)
    return `${at} has no certificate: nothing proves that it answers as the trained model does.`;
  const said = `Its certificate ${certificateInWords(certificate)}`;
  if (there === certificate.sha256) return `${at}: ${said}`;
  if (there === 'none') return `${at} ${certificate.passed ? 'is missing' : 'was held back'}. ${said}`;
  return `${at} is NOT the package that the certificate beside it is of, but an earlier one: don’t use it. ${said}`;
}

/** Null where there is none, or none that is whole. */
async function certificateAt(path: string): Promise<Certificate | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Certificate;
  } catch {
    return null;
  }
}

async function hashOf(dir: string, name: string): Promise<string | null> {
  const folder = nodeFolder(dir);
  const top = `${name}.mlpackage`;
  const paths = await pathsUnder(folder, top);
  if (paths.length === 0) return 'none';
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const path of paths) {
    const bytes = await folder.read(`${top}/${path}`);
    if (bytes !== undefined) files.set(`${top}/${path}`, bytes);
  }
  return packageHash(files, name, nodeHash);
}
