import type { VersionRecord } from '../registry/types.ts';
import { count, megabytes, percent } from './words.ts';

export const noCertificate =
  'No parity certificate yet: that the package answers as the trained model does has not been proven for any version.';

/** `v1.0.0: PacerIDClassifier, tiny, 6 classes; Test: 95.0 % of 20 images; 0.4 MB` */
export function versionInWords(record: VersionRecord): string {
  const { version, modelName, architecture, labels, bytes } = record;
  return `${version}: ${modelName}, ${architecture}, ${count(labels.length, 'class', 'classes')}; Test: ${testInWords(record)}; ${megabytes(bytes)}`;
}

export function testInWords({ test }: Pick<VersionRecord, 'test'>): string {
  return test === null ? 'not judged' : `${percent(test.accuracy)} of ${count(test.n, 'image')}`;
}

/** `2026-11-24 21:05`, in this computer's time. */
export function dateInWords(milliseconds: number): string {
  const date = new Date(milliseconds);
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
