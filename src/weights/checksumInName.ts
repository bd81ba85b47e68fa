import { ChecksumInNameError } from './errors.ts';
import { weightSources } from './sources.ts';

/**
 * The first eight digits of the SHA-256 that a file's name ends in, as torch.hub has it (torch/hub.py, `HASH_REGEX` and `check_hash`):
 * `densenet121-a639ec97.pth`; null for any other name. Browsers name a second download `… (1).pth`.
 */
export function checksumInName(name: string): string | null {
  return /-([0-9a-f]{8})(?: ?\(\d+\))?\.pth$/.exec(name)?.[1] ?? null;
}

/**
 * Whether a file's name, or a checksum that is known beforehand, vouches for its bytes. Eight digits that are not the checksum may be
 * a step, a date or a commit: they say nothing, unless they are those of a file that is known. Throws `ChecksumInNameError` then.
 */
export function isVouchedFor(name: string, sha256: string): boolean {
  const sources = Object.values(weightSources).flat();
  if (sources.some((source) => source.sha256 === sha256)) return true;
  const digits = checksumInName(name);
  if (digits === null) return false;
  if (sha256.startsWith(digits)) return true;
  const known = sources.find(({ url }) => checksumInName(url) === digits);
  if (known) throw new ChecksumInNameError(name, digits, sha256, known.url);
  return false;
}
