/**
 * The network as data. A node's name is torchvision's module path, so `${name}.weight` is at once the parameter's name in a
 * torchvision `state_dict`, in a safetensors file, in a checkpoint and in an export.
 *
 * Activations are `[N,H,W,C] float32` (channels last); parameters keep torch's layout: convolution `[out, in/groups, kH, kW]`,
 * linear `[out, in]`. The engine converts once, at its own border.
 */
interface NodeOf<Op extends string> {
  readonly op: Op;
  readonly name: string;
  /** Names of nodes that come earlier in `Graph.nodes`. */
  readonly inputs: readonly string[];
}

export interface InputNode extends NodeOf<'input'> {
  readonly channels: number;
}
/** Symmetric zero padding, torch's `padding=(p, p)`. */
export interface Conv2dNode extends NodeOf<'conv2d'> {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly groups: number;
  readonly bias: boolean;
}
/** `momentum` is torch's: running = (1 − momentum) · running + momentum · batch. */
export interface BatchNorm2dNode extends NodeOf<'batchNorm2d'> {
  readonly channels: number;
  readonly eps: number;
  readonly momentum: number;
}
export type ActivationKind = 'relu' | 'hardswish' | 'hardsigmoid';
export interface ActivationNode extends NodeOf<'activation'> {
  readonly kind: ActivationKind;
}
/** Pads with −∞, as torch. */
export interface MaxPool2dNode extends NodeOf<'maxPool2d'> {
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}
export interface AvgPool2dNode extends NodeOf<'avgPool2d'> {
  readonly kernel: number;
  readonly stride: number;
}
/** Mean over H and W, kept: `[N,H,W,C] → [N,1,1,C]`. */
export type GlobalAvgPoolNode = NodeOf<'globalAvgPool'>;
/** `[N,1,1,C] → [N,C]`. */
export type FlattenNode = NodeOf<'flatten'>;
export interface LinearNode extends NodeOf<'linear'> {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
}
/** Two inputs of one shape. */
export type AddNode = NodeOf<'add'>;
/** Second input broadcasts over H and W: `[N,H,W,C] · [N,1,1,C]`. */
export type MulNode = NodeOf<'mul'>;
/** Along channels. */
export type ConcatNode = NodeOf<'concat'>;
export interface DropoutNode extends NodeOf<'dropout'> {
  readonly p: number;
}
/** Over the last axis. Only in export graphs. */
export type SoftmaxNode = NodeOf<'softmax'>;
/** `x · scale[c] + shift[c]`; preprocessing, only in export graphs. */
export interface ChannelAffineNode extends NodeOf<'channelAffine'> {
  readonly scale: readonly number[];
  readonly shift: readonly number[];
}

export type GraphNode =
  | InputNode
  | Conv2dNode
  | BatchNorm2dNode
  | ActivationNode
  | MaxPool2dNode
  | AvgPool2dNode
  | GlobalAvgPoolNode
  | FlattenNode
  | LinearNode
  | AddNode
  | MulNode
  | ConcatNode
  | DropoutNode
  | SoftmaxNode
  | ChannelAffineNode;

export interface Graph {
  /** `densenet121`, `resnet50`, `mobilenet_v3_small`, `tiny`. */
  readonly architecture: string;
  readonly classes: number;
  /** In topological order; the first is the input, the last the output (logits `[N, classes]` in a training graph). */
  readonly nodes: readonly GraphNode[];
  /** Name of the linear node that is replaced for n classes: `classifier`, `fc`, `classifier.3`. */
  readonly head: string;
  /** Node whose output Grad-CAM reads, and where "head only" freezes: everything but the head. */
  readonly features: string;
}

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}
/** By torchvision name: parameters and running statistics, without `num_batches_tracked`. */
export type Weights = ReadonlyMap<string, Tensor>;

export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly node: string;
  readonly kind: 'weight' | 'bias' | 'running_mean' | 'running_var';
  /** False for running statistics. */
  readonly trainable: boolean;
}
