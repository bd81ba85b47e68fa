import type { ArchitectureName } from '../architectures/settings.ts';
import { fromTimmMobilenet } from './timmMobilenet.ts';
import type { NamedTensors } from './types.ts';

export interface WeightSource {
  /** As the user is shown it. */
  readonly name: string;
  readonly url: string;
  /**
   * Of the whole file. Copied from the hub's own page of the file (Git LFS details), or null where none was to be read: then the
   * file counts as unverified and is pinned at the first download.
   */
  readonly sha256: string | null;
  /** About; for the progress where the server doesn't say. */
  readonly bytes: number | null;
  readonly license: string;
  /** To torchvision's names. */
  readonly rename?: (file: NamedTensors) => NamedTensors;
}

const hub = (repository: string, revision: string) =>
  `https://huggingface.co/${repository}/resolve/${revision}/model.safetensors`;

/**
 * ImageNet weights by architecture, in safetensors, from servers that let a page of another origin read them. Names as in torchvision
 * for densenet121 and resnet50 (timm loads torchvision's own files into modules of the same names: timm/models/densenet.py,
 * resnet.py, entries `tv_in1k`).
 *
 * A revision of `main` is held fast by the checksum, or else by the pin.
 */
export const weightSources: Readonly<Record<ArchitectureName, readonly WeightSource[]>> = {
  densenet121: [
    {
      name: 'timm/densenet121.tv_in1k',
      url: hub('timm/densenet121.tv_in1k', 'main'),
      sha256: 'c894c6d9caa317a8ca1942986dee7a16a86c77734a4d691d2abe05389cfef358',
      bytes: 32_300_000,
      license: 'Apache-2.0',
    },
  ],
  resnet50: [
    {
      name: 'timm/resnet50.tv_in1k',
      url: hub('timm/resnet50.tv_in1k', 'aa6c2d36d56bc0209040c02b5a7b7d7bf11d57b8'),
      sha256: '5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888',
      bytes: 102_000_000,
      license: 'BSD-3-Clause',
    },
  ],
  mobilenet_v3_small: [
    {
      name: 'timm/mobilenetv3_small_100.lamb_in1k',
      url: hub('timm/mobilenetv3_small_100.lamb_in1k', 'main'),
      sha256: null,
      bytes: 10_200_000,
      license: 'Apache-2.0',
      rename: fromTimmMobilenet,
    },
  ],
  tiny: [],
};
