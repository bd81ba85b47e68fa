import type { Tensor } from '../graph/types.ts';

/** Who named a file's tensors; `torchvision, old` are DenseNet files of before 2018 (`denselayer1.norm.1`). */
export type NamesOf = 'torchvision' | 'torchvision, old' | 'timm';

export interface Named {
  /** Under torchvision's names of today, without `num_batches_tracked`. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** A tensor's name in the file, by the one that it has here. */
  readonly inFile: ReadonlyMap<string, string>;
  readonly names: NamesOf;
  /** What whoever gave these names builds the network with; null: as the architecture does. */
  readonly batchNormEps: number | null;
}

/**
 * Tells by the tensors alone whose names they have, and gives them torchvision's. timm names DenseNet121 and ResNet50 as torchvision
 * does (timm/models/densenet.py, resnet.py; tests/python/make_timm.py compares the whole lists); of MobileNetV3 only the head's name
 * is the same. A `module.`, `model.` or `_orig_mod.` before every name (DataParallel, Lightning, torch.compile) goes.
 */
export function underTorchvisionNames(tensors: ReadonlyMap<string, Tensor>): Named {
  const kept = [...tensors].filter(([name]) => !/(^|\.)num_batches_tracked$/.test(name));
  const prefix = commonPrefix(kept.map(([name]) => name));
  const bare = kept.map(([name, tensor]): [string, string, Tensor] => [name, name.slice(prefix.length), tensor]);
  const has = new Set(bare.map(([, name]) => name));
  const isTimm = has.has('conv_stem.weight') && has.has('blocks.0.0.conv_dw.weight');
  const isOld = bare.some(([, name]) => oldDenseNet.test(name));
  const named = bare.map(([inFile, name, tensor]): [string, string, Tensor] => {
    const torchvisions = isTimm ? fromTimmMobilenet(name) : name.replace(oldDenseNet, '$1$2');
    // There under both names: it keeps this one, which no network knows, so that it is not silently one of the two that counts.
    if (torchvisions !== name && has.has(torchvisions)) return [inFile, name, tensor];
    return [inFile, torchvisions, isTimm && name === 'conv_head.weight' ? asLinear(tensor) : tensor];
  });
  return {
    tensors: new Map(named.map(([, name, tensor]) => [name, tensor])),
    inFile: new Map(named.map(([inFile, name]) => [name, inFile])),
    names: isTimm ? 'timm' : isOld ? 'torchvision, old' : 'torchvision',
    batchNormEps: isTimm ? TIMM_EPS : null,
  };
}

/** torch's default, which timm's `mobilenetv3_small_100` takes (timm/models/mobilenetv3.py, _efficientnet_builder.py, `resolve_bn_args`). */
const TIMM_EPS = 1e-5;

/** The pattern of torchvision/models/densenet.py, `_load_state_dict`. */
const oldDenseNet = /^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$/;

/** What wrappers put before every name, one in the other too. */
function commonPrefix(names: readonly string[]): string {
  let prefix = '';
  for (;;) {
    const next = ['module.', 'model.', '_orig_mod.'].find((one) =>
      names.every((name) => name.startsWith(prefix + one)),
    );
    if (next === undefined || names.length === 0) return prefix;
    prefix += next;
  }
}

/** timm's last convolution is 1×1 on a pooled map: torchvision's linear layer. */
function asLinear(tensor: Tensor): Tensor {
  const [out, inputs, ...kernel] = tensor.shape;
  if (out === undefined || inputs === undefined || kernel.some((size) => size !== 1)) return tensor;
  return { shape: [out, inputs], data: tensor.data };
}

/** Blocks of timm's stages 0–4: how many come before each stage. torchvision counts through, from 1. */
const blocksBefore = [0, 1, 3, 6, 8];

/**
 * timm's `mobilenetv3_small_100` under torchvision's names: the same network (timm's non-TensorFlow variant pads symmetrically,
 * rounds the squeeze to 8 channels, and gates with hardsigmoid) but for batch norm's eps. Sources: timm/models/mobilenetv3.py,
 * torchvision/models/mobilenetv3.py. A name of another network comes out as some name that fits nothing.
 */
function fromTimmMobilenet(name: string): string {
  const [, stage, index, rest] = /^blocks\.(\d+)\.(\d+)\.(.+)$/.exec(name) ?? [];
  if (stage === undefined || index === undefined || rest === undefined) {
    return name
      .replace(/^conv_stem\./, 'features.0.0.')
      .replace(/^bn1\./, 'features.0.1.')
      .replace(/^conv_head\./, 'classifier.0.')
      .replace(/^classifier\.(weight|bias)$/, 'classifier.3.$1');
  }
  if (stage === '5' && index === '0') {
    return rest.replace(/^conv\./, 'features.12.0.').replace(/^bn1\./, 'features.12.1.');
  }
  const before = blocksBefore[Number(stage)];
  if (before === undefined) return name;
  const number = 1 + before + Number(index);
  return `features.${number}.block.${rest.replace(/^[a-z_]+\d?(\.conv_[a-z]+)?/, (part) => partOf(stage, number, part))}`;
}

/** The block's steps in order: (expand), depthwise, (squeeze-excitation), project; stage 0 has no expansion. */
function partOf(stage: string, number: number, part: string): string {
  const expands = stage !== '0';
  const squeezes = number !== 2 && number !== 3;
  const depthwise = expands ? 1 : 0;
  const project = depthwise + (squeezes ? 2 : 1);
  const at: Record<string, string> = expands
    ? {
        conv_pw: '0.0',
        bn1: '0.1',
        conv_dw: '1.0',
        bn2: '1.1',
        conv_pwl: `${project}.0`,
        bn3: `${project}.1`,
      }
    : { conv_dw: '0.0', bn1: '0.1', conv_pw: `${project}.0`, bn2: `${project}.1` };
  return (
    at[part] ?? part.replace('se.conv_reduce', `${depthwise + 1}.fc1`).replace('se.conv_expand', `${depthwise + 1}.fc2`)
  );
}
