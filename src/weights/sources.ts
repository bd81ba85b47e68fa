import type { ArchitectureName } from '../architectures/settings.ts';

/** What it takes to download a file and to know it again. */
export interface Downloadable {
  /** As the user is shown it. */
  readonly name: string;
  readonly url: string;
  /** Of the whole file; null where none was read: then its name may say how it begins (`checksumInName`), else it is pinned. */
  readonly sha256: string | null;
  /** Null where it wasn't read; for the progress where the server doesn't say. */
  readonly bytes: number | null;
  readonly license: string;
}

export interface WeightSource extends Downloadable {
  /** Of the hub's repository, in full. PyTorch's files have none. */
  readonly revision: string | null;
  /**
   * Who downloads it. `anybody`; `outside a page`: whether its server lets a page of another origin read it is not known, so a page
   * is not allowed to ask it (src/hosts.ts); `nobody`: another training of the same network, known for users who drop it.
   */
  readonly downloadedBy: 'anybody' | 'outside a page' | 'nobody';
  /** Whose names its tensors have. Documentation and tests: a reader goes by the tensors (`names.ts`). */
  readonly names: 'torchvision' | 'torchvision, old' | 'timm';
  /** With which it was trained; a reader goes by the file and its names. */
  readonly batchNormEps: number;
  /** With which its images were normalised, of the range 0–1. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Accuracy on ImageNet's validation set at 224 px, %, as whoever published the file gives it. */
  readonly top1: number;
}

/** IMAGENET_DEFAULT_MEAN of timm/data/constants.py; the same in torchvision/transforms/_presets.py, `ImageClassification`. */
const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

/** The hub lets pages of other origins read its files. */
const hub = (repository: string, revision: string) =>
  ({
    name: repository,
    url: `https://huggingface.co/${repository}/resolve/${revision}/model.safetensors`,
    revision,
    downloadedBy: 'anybody',
    ...imagenet,
  }) as const;

/** torch.hub's own convention: a file's name ends in the first eight digits of its SHA-256. The whole ones were not read. */
const pytorch = (file: string) =>
  ({
    name: `${file} (torchvision)`,
    url: `https://download.pytorch.org/models/${file}.pth`,
    revision: null,
    sha256: null,
    license: 'BSD-3-Clause',
    ...imagenet,
  }) as const;

/**
 * ImageNet weights by architecture, in the order in which they are tried. Read for it:
 * - names, addresses, normalisation, licences: timm 1.0.31 and its repository (timm/models/densenet.py, resnet.py, mobilenetv3.py,
 *   `default_cfgs`; densenet121 and resnet50 `tv_in1k` are torchvision's own weights, V1), torchvision 0.14.1
 *   (torchvision/models/densenet.py, resnet.py, mobilenetv3.py, `…_Weights`);
 * - top-1: timm's results/results-imagenet.csv, torchvision's `acc@1`. They differ by a few tenths for the same weights: timm resizes
 *   bicubic, or measured anew;
 * - SHA-256, sizes and revisions on the hub: not computed here. densenet121 and resnet50: the hub's pages of the files (Git LFS
 *   details); all three are the same in several public repositories, each of which pins them by itself, and, for MobileNetV3, says
 *   that a download met them. densenet121's revision: in one public repository beside this SHA-256, as the hub's cache lays them out;
 *   another one links to the file tree of this commit, of 2025-01-21;
 * - not read: whether download.pytorch.org sends CORS headers, the sizes of its files.
 * A licence of PyTorch's files isn't given beside them: that of the torchvision repository is.
 */
export const weightSources: Readonly<Record<ArchitectureName, readonly WeightSource[]>> = {
  densenet121: [
    {
      ...hub('timm/densenet121.tv_in1k', 'f0d0f2698a02cb133b09d48396db6e1e46fe9f3b'),
      sha256: 'c894c6d9caa317a8ca1942986dee7a16a86c77734a4d691d2abe05389cfef358',
      bytes: 32_300_000,
      license: 'Apache-2.0',
      names: 'torchvision',
      batchNormEps: 1e-5,
      top1: 74.75,
    },
    {
      ...pytorch('densenet121-a639ec97'),
      bytes: null,
      downloadedBy: 'outside a page',
      names: 'torchvision, old',
      batchNormEps: 1e-5,
      top1: 74.434,
    },
  ],
  resnet50: [
    {
      ...hub('timm/resnet50.tv_in1k', '78f3ecfdb38e06d9b8397f662e7ab8fee96026fa'),
      sha256: '5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888',
      bytes: 102_469_840,
      license: 'BSD-3-Clause',
      names: 'torchvision',
      batchNormEps: 1e-5,
      top1: 76.156,
    },
    {
      ...pytorch('resnet50-0676ba61'),
      bytes: null,
      downloadedBy: 'outside a page',
      names: 'torchvision',
      batchNormEps: 1e-5,
      top1: 76.13,
    },
    {
      // IMAGENET1K_V2: evaluated after resizing to 232 px.
      ...pytorch('resnet50-11ad3fa6'),
      bytes: null,
      downloadedBy: 'nobody',
      names: 'torchvision',
      batchNormEps: 1e-5,
      top1: 80.858,
    },
  ],
  mobilenet_v3_small: [
    {
      ...hub('timm/mobilenetv3_small_100.lamb_in1k', '1824797e7887cbec1990e4adbd6675960a36c589'),
      sha256: '46d2c063b18125884c48937afa4c49e18128869e52e8db96df48bf0a4d7ff697',
      bytes: 10_241_912,
      license: 'Apache-2.0',
      names: 'timm',
      batchNormEps: 1e-5,
      top1: 67.636,
    },
    {
      ...pytorch('mobilenet_v3_small-047dcff4'),
      bytes: null,
      downloadedBy: 'outside a page',
      names: 'torchvision',
      batchNormEps: 1e-3,
      top1: 67.668,
    },
  ],
  tiny: [],
};

/** Those that may be asked for an architecture's weights. `inPage`: under a page's policy and CORS. */
export function downloadable(architecture: ArchitectureName, inPage: boolean): readonly WeightSource[] {
  return weightSources[architecture].filter(
    ({ downloadedBy }) => downloadedBy === 'anybody' || (!inPage && downloadedBy === 'outside a page'),
  );
}
