import type { Agreement, CertificateImage, CertificateThresholds, ParsedModel } from './types.ts';

/** What both say of an image, in the order of the trained model's labels. */
export interface Answer {
  readonly image: CertificateImage;
  readonly exported: Float32Array;
  /** In the order of `model.makers.names`. */
  readonly makers: Float32Array | null;
  readonly notFinite: string | null;
}

/** How far from 1 rounding takes a sum of probabilities: half a unit in the last place of each. */
const SUM_TOLERANCE = { float32: 1e-4, float16: 2e-3 } as const;

/** The first of the largest; −1 where none is a number. */
const top = (values: Float32Array) =>
  values.reduce((best, value, i) => (value > (values[best] ?? -Infinity) ? i : best), -1);

/** What is no number is as wrong as a probability can be. */
const difference = (a: number, b: number) => (Number.isFinite(a) ? Math.abs(a - b) : 1);

export function agreementOf(answers: readonly Answer[]): Agreement {
  let [largest, sum, count, flips, trainedRight, exportedRight] = [0, 0, 0, 0, 0, 0];
  for (const { image, exported } of answers) {
    image.trained.forEach((p, i) => {
      const d = difference(exported[i]!, p);
      largest = Math.max(largest, d);
      sum += d;
      count++;
    });
    if (top(exported) !== top(image.trained)) flips++;
    if (top(image.trained) === image.label) trainedRight++;
    if (top(exported) === image.label) exportedRight++;
  }
  return {
    images: answers.length,
    maxDifference: largest,
    meanDifference: count === 0 ? 0 : sum / count,
    flips,
    right: { trained: trainedRight, exported: exportedRight },
  };
}

/** Where in the file each of the model's classes, or makers, stands; null where the two lists can't be brought together. */
export function orderOf(
  found: readonly string[],
  labels: readonly string[],
  what: 'classes' | 'makers' = 'classes',
): { readonly order: readonly number[] | null; readonly failures: readonly string[] } {
  if (new Set(found).size !== found.length) {
    const twice = found.find((label, i) => found.indexOf(label) !== i)!;
    return { order: null, failures: [`The file calls two ${what} “${twice}”.`] };
  }
  const missing = labels.filter((label) => !found.includes(label));
  if (missing.length > 0 || found.length !== labels.length) {
    const added = found.filter((label) => !labels.includes(label));
    const parts = [
      ...(missing.length > 0 ? [`${missing.length} of the model’s are missing (${firstOf(missing)})`] : []),
      ...(added.length > 0 ? [`${added.length} are not the model’s (${firstOf(added)})`] : []),
    ];
    return {
      order: found.length === labels.length ? labels.map((_, i) => i) : null,
      failures: [
        `The file has other ${what} than the model, ${found.length} instead of ${labels.length}: ${parts.join('; ')}.`,
      ],
    };
  }
  const order = labels.map((label) => found.indexOf(label));
  const moved = order.findIndex((place, i) => place !== i);
  if (moved < 0) return { order, failures: [] };
  const count = order.filter((place, i) => place !== i).length;
  return {
    order,
    failures: [
      `The file’s ${what} stand in another order: ${count} of ${labels.length} are elsewhere; number ${moved + 1} is “${found[moved]!}” there and “${labels[moved]!}” in the model.`,
    ],
  };
}

/** What is wrong with the makers that a file names; `wanted`: those that it was to have, null for none. */
export function makerNameFailures(
  found: readonly string[] | null,
  wanted: readonly string[] | null,
): readonly string[] {
  const named = (names: readonly string[]) => `${names.length} (${firstOf(names)})`;
  if (found === null)
    return wanted === null
      ? []
      : [
          `The file lacks the makers’ probabilities, which it was to give beside those of the classes: ${named(wanted)}.`,
        ];
  if (wanted === null) return [`The file gives makers’ probabilities, which nobody asked for: ${named(found)}.`];
  return orderOf(found, wanted, 'makers').failures;
}

const firstOf = (names: readonly string[]) =>
  names
    .slice(0, 3)
    .map((name) => `“${name}”`)
    .join(', ') + (names.length > 3 ? ', …' : '');

/** What a certificate fails by, in sentences with figures, the plainest causes first. */
export function failuresOf(
  model: ParsedModel,
  answers: readonly Answer[],
  labels: readonly string[],
  thresholds: CertificateThresholds,
): string[] {
  if (answers.length === 0) return ['There is no image on which file and model were compared.'];
  const failures: string[] = [];
  const all = answers.length;
  const on = (count: number) => `On ${count} of ${all} image${all === 1 ? '' : 's'}`;
  // Their names stay out of what is handed on: they may be patients'.
  const placeOf = (answer: Answer) => `image ${answers.indexOf(answer) + 1} (“${labels[answer.image.label] ?? ''}”)`;

  const unsound = answers.filter(({ notFinite }) => notFinite !== null);
  if (unsound.length > 0)
    failures.push(
      `${on(unsound.length)} the file’s arithmetic leaves the range of ${model.precision} numbers, first in the operation “${unsound[0]!.notFinite!}” on ${placeOf(unsound[0]!)}.`,
    );

  const sums = answers.map(({ exported }) => exported.reduce((sum, p) => sum + p, 0));
  const tolerance = SUM_TOLERANCE[model.precision];
  const isProbability = (answer: Answer, i: number) =>
    Math.abs(sums[i]! - 1) <= tolerance && answer.exported.every((p) => p >= 0 && p <= 1 + tolerance);
  const improper = answers.flatMap((answer, i) => (isProbability(answer, i) ? [] : [i]));
  if (improper.length > 0)
    failures.push(
      `${on(improper.length)} what the file gives are no probabilities: they add up to ${figure(sums[improper[0]!]!, 5)} on ${placeOf(answers[improper[0]!]!)}, not to 1. A softmax at its end is missing or wrong.`,
    );

  const agreement = agreementOf(answers);
  if (!(agreement.maxDifference <= thresholds.maxDifference)) {
    const beyond = answers.filter((answer) => !(agreementOf([answer]).maxDifference <= thresholds.maxDifference));
    const worst = worstOf(answers);
    const { image, exported } = worst;
    const apart = Array.from(image.trained, (p, i) => difference(exported[i]!, p));
    const where = apart.indexOf(Math.max(...apart));
    const [given, trained] = toldApart(exported[where]!, image.trained[where]!);
    failures.push(
      `${on(beyond.length)} probabilities differ by more than ${figure(thresholds.maxDifference)}, by ${figure(agreement.maxDifference)} at most (${figure(agreement.meanDifference)} on average): on ${placeOf(worst)} the file gives “${labels[where]!}” ${given} where the trained model gives ${trained}.`,
    );
  }

  if (agreement.flips > thresholds.maxFlips) {
    const flipped = answers.find((answer) => top(answer.exported) !== top(answer.image.trained))!;
    const { image, exported } = flipped;
    const name = (values: Float32Array) => (top(values) < 0 ? 'none' : `“${labels[top(values)]!}”`);
    // How near to a tie it was to begin with.
    const [first, other] = [image.trained[top(image.trained)], image.trained[top(exported)]].map((p) => p ?? NaN);
    const [its, others] = toldApart(first!, other!);
    failures.push(
      `${on(agreement.flips)} another class is the most probable one, ${thresholds.maxFlips} allowed: on ${placeOf(flipped)} the file says ${name(exported)} where the trained model says ${name(image.trained)} (${its} there, the file’s choice ${others}). The file is right on ${agreement.right.exported}, the trained model on ${agreement.right.trained}.`,
    );
  }
  return [...failures, ...makerFailures(model, answers, labels, tolerance)];
}

/** The answer that is furthest from the trained model's. */
export function worstOf(answers: readonly Answer[]): Answer {
  const apart = answers.map((answer) => agreementOf([answer]).maxDifference);
  return answers[apart.indexOf(Math.max(...apart))]!;
}

/** `MDT - Azure` is a model of the maker `MDT`; a maker is as probable as its models together. What they are called: `makerNameFailures`. */
function makerFailures(
  { makers }: ParsedModel,
  answers: readonly Answer[],
  labels: readonly string[],
  tolerance: number,
): string[] {
  if (makers === null) return [];
  const makerOf = labels.map((label) => label.split(' - ')[0]!);
  const wrong = answers.flatMap(({ image, exported, makers: given }) =>
    makers.names.flatMap((name, m) => {
      // One that no class has is named by `makerNameFailures`.
      if (!makerOf.includes(name)) return [];
      const models = exported.reduce((sum, p, i) => (makerOf[i] === name ? sum + p : sum), 0);
      return difference(given![m]!, models) <= tolerance ? [] : [{ image, name, is: given![m]!, models }];
    }),
  );
  if (wrong.length === 0) return [];
  const { image, name, is, models } = wrong[0]!;
  const images = new Set(wrong.map((one) => one.image)).size;
  const place = answers.findIndex((answer) => answer.image === image) + 1;
  return [
    `On ${images} of ${answers.length} images the makers’ probabilities are not those of their models: on image ${place} the maker “${name}” gets ${figure(is)}, its models ${figure(models)} together.`,
  ];
}

/** Two numbers with as many digits as their difference needs: three, or up to a float32's. */
function toldApart(a: number, b: number): [string, string] {
  let digits = 3;
  const apart = (): number => Number(figure(a, digits)) - Number(figure(b, digits));
  while (digits < 9 && Math.abs(apart() - (a - b)) > Math.abs(a - b) / 10) digits++;
  return [figure(a, digits), figure(b, digits)];
}

/** No exponent that needn't be. */
function figure(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return 'no number';
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-6 || size >= 1e6)
    ? Number(value.toPrecision(digits)).toExponential()
    : String(Number(value.toPrecision(digits)));
}
