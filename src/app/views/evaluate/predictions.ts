import type { Dataset, EvaluationReport } from '../../../workers/protocol.ts';

/** One image's answer, read out of a report. */
export interface Answer {
  /** Into `Dataset.images`. */
  readonly image: number;
  readonly truth: number;
  readonly predicted: number;
  /** Of the predicted class. */
  readonly probability: number;
}

/** Answers of a whole split, in the report's order. */
export function answersOf(report: EvaluationReport, dataset: Dataset): Answer[] {
  const classes = report.perClass.length;
  return report.indices.map((image, row) => {
    let predicted = 0;
    const at = (column: number) => report.probabilities[row * classes + column] ?? 0;
    for (let column = 1; column < classes; column++) if (at(column) > at(predicted)) predicted = column;
    return { image, truth: dataset.images[image]?.label ?? -1, predicted, probability: at(predicted) };
  });
}

/** Wrong answers, the surest first. */
export function surestMistakes(answers: readonly Answer[]): Answer[] {
  return answers
    .filter((answer) => answer.truth !== answer.predicted)
    .toSorted((a, b) => b.probability - a.probability);
}

/** RFC 4180: path, truth, prediction, then a column a class with its probability, in all its digits. */
export function predictionsCsv(report: EvaluationReport, dataset: Dataset): string {
  const labels = report.perClass.map((one) => one.label);
  const classes = labels.length;
  const lines = [['path', 'truth', 'prediction', ...labels].map(field).join(',')];
  for (const [row, answer] of answersOf(report, dataset).entries()) {
    const path = dataset.images[answer.image]?.path ?? '';
    const probabilities = report.probabilities.slice(row * classes, (row + 1) * classes);
    lines.push(
      [path, labels[answer.truth] ?? '', labels[answer.predicted] ?? '', ...Array.from(probabilities, String)]
        .map(field)
        .join(','),
    );
  }
  return `${lines.join('\r\n')}\r\n`;
}

function field(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
