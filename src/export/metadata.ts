import { makersOf } from './makers.ts';
import type { ExportInput } from './types.ts';
import { cropOption } from './vision.ts';

const notice = 'Not a medical device.';

/** One or two sentences, which say in any case that it is no medical device. */
export function describe({ metadata: { description } }: ExportInput): string {
  const says = description.includes('ot a medical device');
  return [description, ...(says ? [] : [notice])].filter((text) => text !== '').join(' ');
}

/**
 * What a model says of itself in every format that has room for pairs of texts: what it was made of, what its input and outputs
 * mean, and how good it is. Lists are JSON.
 */
export function metadataPairs(input: ExportInput): Record<string, string> {
  const { graph, labels, mean, std, precision, temperature, weightStorage, makerOutput, metadata } = input;
  const { dataset, test } = metadata;
  return {
    'pacerid.architecture': graph.architecture,
    'pacerid.classes': JSON.stringify(labels),
    'pacerid.config': metadata.config,
    'pacerid.image_crop_and_scale_option': `VNImageCropAndScaleOption.${cropOption[metadata.geometry]}`,
    'pacerid.intended_use': metadata.intendedUse,
    ...(makerOutput && { 'pacerid.makers': JSON.stringify(makersOf(labels).map(({ name }) => name)) }),
    'pacerid.notice': notice,
    'pacerid.precision': precision,
    'pacerid.preprocessing': `(pixel / 255 - [${mean.join(', ')}]) / [${std.join(', ')}], inside the model`,
    'pacerid.temperature': String(temperature),
    'pacerid.weights': weightStorage,
    ...(dataset && {
      'pacerid.dataset': dataset.name,
      'pacerid.dataset_sha256': dataset.hash,
      'pacerid.dataset_synthetic': String(dataset.synthetic),
    }),
    'pacerid.test': test === null ? 'not tested on held-out images' : testResult(test),
    ...(test && { 'pacerid.test_accuracy': String(test.accuracy), 'pacerid.test_images': String(test.n) }),
  };
}

function testResult({ n, accuracy, interval }: NonNullable<ExportInput['metadata']['test']>): string {
  const percent = (share: number) => (100 * share).toFixed(1);
  return (
    `${percent(accuracy)} % of ${n} held-out images right ` +
    `(95 % interval ${percent(interval[0])}–${percent(interval[1])} %)`
  );
}
