import type { Graph } from '../graph/types.ts';
import type { ArchitectureName } from './settings.ts';

/** How torchvision's constructor fills a new network. BatchNorm is always weight 1, bias 0, mean 0, variance 1. */
export interface Initialisation {
  /** Convolution weights: Kaiming normal, standard deviation sqrt(2 / fan). Convolution biases are 0. */
  readonly convolution: 'fan_in' | 'fan_out';
  /** `torch`: nn.Linear's default, U(±1/sqrt(in)); else normal with this standard deviation. */
  readonly linearWeight: 'torch' | { readonly normal: number };
  readonly linearBias: 'torch' | 'zero';
}

export interface Architecture {
  readonly name: ArchitectureName;
  /** As the page shows it. */
  readonly label: string;
  /** One line for the user: what it is good for. */
  readonly summary: string;
  /** The training graph: images `[N,H,W,3]`, normalised with `mean` and `std`, to logits `[N, classes]`. */
  build(classes: number): Graph;
  /** Of the range 0–1, per channel RGB. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Pixels, square: what ImageNet weights were trained at, or what we recommend. */
  readonly defaultSize: number;
  /** Smallest size, in pixels, at which training makes sense. */
  readonly minimumSize: number;
  readonly initialisation: Initialisation;
  /** Trainable parameters with 1000 classes; torchvision's own `num_params` where there is one. */
  readonly parameterCount: number;
  /** The function in torchvision.models whose names, shapes and numbers it shares; null for ours. */
  readonly torchvision: string | null;
}

export const imagenetMean = [0.485, 0.456, 0.406] as const;
export const imagenetStd = [0.229, 0.224, 0.225] as const;
