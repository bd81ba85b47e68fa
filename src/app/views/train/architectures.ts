import type { ArchitectureName } from '../../../workers/protocol.ts';

/** How the networks are introduced; sizes are those of 45 classes. */
export const architectures: Readonly<
  Record<ArchitectureName, { readonly title: string; readonly size: string; readonly fits: string }>
> = {
  densenet121: {
    title: 'DenseNet121',
    size: '7.0 M parameters',
    fits: 'the pipeline’s default, most accurate, slowest',
  },
  resnet50: { title: 'ResNet50', size: '23.6 M parameters', fits: 'large download, quick for its size' },
  mobilenet_v3_small: {
    title: 'MobileNetV3-Small',
    size: '1.6 M parameters',
    fits: 'made for phones, quick on a laptop',
  },
  tiny: { title: 'tiny', size: 'under 0.1 M parameters', fits: 'a quick look, a minute or two; no pretrained weights' },
};

export function architectureTitle(name: string): string {
  return architectures[name as ArchitectureName]?.title ?? name;
}
