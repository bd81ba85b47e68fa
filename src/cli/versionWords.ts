import type { VersionDiff, VersionRecord } from '../registry/types.ts';
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

/** What must be said before two Test figures are compared, and how to come by figures that can be. */
export function testSetsInWords({ a, testSets }: Pick<VersionDiff, 'a' | 'testSets'>): string[] {
  if (testSets === '') return [];
  return [
    testSets,
    `On the same ones: npm run evaluate -- --checkpoint FILE --data PATH, with a checkpoint of each and the data set of ${a.version}: ` +
      `what a model was tested with stays Test for it.`,
  ];
}

/** `2026-11-24 21:05`, in this computer's time. */
export function dateInWords(milliseconds: number): string {
  const date = new Date(milliseconds);
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
