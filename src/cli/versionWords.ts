import type { Certificate } from '../parity/types.ts';
import type { VersionDiff, VersionRecord } from '../registry/types.ts';
import { count, megabytes, percent } from './words.ts';

/** `passed: no probability differs by more than 0.0012 (allowed: 0.005) and no most probable class is another one, of 12 Test images` */
export function certificateInWords(
  one: Pick<Certificate, 'passed' | 'maxDifference' | 'flips' | 'images' | 'thresholds' | 'imagesFrom' | 'failures'>,
): string {
  const split = { test: 'Test', val: 'validation', train: 'training' }[one.imagesFrom.split] ?? one.imagesFrom.split;
  const of = `${count(one.images, `${split} image`)}`;
  if (!one.passed) return `FAILED on ${of}. ${one.failures.join(' ')}`;
  const { maxDifference, maxFlips } = one.thresholds;
  const flips =
    one.flips === 0
      ? 'no most probable class is another one'
      : `${count(one.flips, 'most probable class is', 'most probable classes are')} another one (allowed: ${maxFlips})`;
  return `passed: no probability differs by more than ${difference(one.maxDifference)} (allowed: ${difference(maxDifference)}) and ${flips}, of ${of}`;
}

/** `0.0012`, `8.3e-6` */
function difference(value: number): string {
  if (!Number.isFinite(value)) return 'a number';
  return value !== 0 && value < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(2)));
}

/** For a column. */
export function proofInShort({ certificate }: Pick<VersionRecord, 'certificate'>): string {
  if (certificate === null) return 'none';
  return certificate.passed ? `passed, ${difference(certificate.maxDifference)}` : 'FAILED';
}

/** For a line of its own. */
export function proofInWords({ certificate, uncertified }: Pick<VersionRecord, 'certificate' | 'uncertified'>): string {
  return certificate === null ? `none. ${uncertified}` : certificateInWords(certificate);
}

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
