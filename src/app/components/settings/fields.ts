/** The settings that people change, in their words and order. The rest follows under “All settings”. */
export interface Field {
  readonly path: string;
  readonly label: string;
  readonly unit?: string;
}
export interface FieldGroup {
  readonly title: string;
  readonly fields: readonly Field[];
}

export const commonGroups: readonly FieldGroup[] = [
  {
    title: 'Network',
    fields: [
      { path: 'model.architecture', label: 'Backbone' },
      { path: 'model.pretrained', label: 'ImageNet weights' },
      { path: 'data.img_size', label: 'Image size', unit: 'px' },
      { path: 'data.geometry', label: 'Images that aren’t square' },
    ],
  },
  {
    title: 'Training',
    fields: [
      { path: 'training.epochs', label: 'Epochs' },
      { path: 'training.learning_rate', label: 'Learning rate' },
      { path: 'data.batch_size', label: 'Batch', unit: 'images' },
      { path: 'training.layers', label: 'Layers trained' },
      { path: 'training.augmentation.enabled', label: 'Augmentation' },
      { path: 'training.device', label: 'Device' },
      { path: 'training.seed', label: 'Seed' },
    ],
  },
  {
    title: 'Splits',
    fields: [
      { path: 'data.validation_split', label: 'Validation, share of Train' },
      { path: 'data.test_split', label: 'Test, where there is none' },
      { path: 'data.seed', label: 'Seed of the split' },
    ],
  },
  {
    title: 'Model file',
    fields: [
      { path: 'output.model_name', label: 'Name' },
      { path: 'output.precision', label: 'Precision' },
      { path: 'output.version', label: 'Version' },
      { path: 'output.author', label: 'Author' },
      { path: 'output.description', label: 'Description' },
      { path: 'output.intended_use', label: 'Intended use' },
    ],
  },
];
