import type { Tensor } from '../graph/types.ts';
import type { NamedTensors } from './types.ts';

/**
 * timm's `mobilenetv3_small_100` under torchvision's names: the same network (timm's non-TensorFlow variant pads symmetrically,
 * rounds the squeeze to 8 channels, and gates with hardsigmoid), with other names, `conv_head` as a 1×1 convolution where
 * torchvision has a linear layer, and batch-norm epsilon 1e-5 where torchvision has 1e-3 (put into the metadata here, so that
 * `matchWeights` adapts it). Sources: timm/models/mobilenetv3.py, torchvision/models/mobilenetv3.py; tests/python/judge_timm_names.py.
 */
export function fromTimmMobilenet({ tensors, metadata }: NamedTensors): NamedTensors {
  const renamed = [...tensors].map(([name, tensor]): [string, Tensor] => {
    if (name === 'conv_head.weight') return ['classifier.0.weight', { ...tensor, shape: tensor.shape.slice(0, 2) }];
    return [torchvisionName(name), tensor];
  });
  return { tensors: new Map(renamed), metadata: { ...metadata, batch_norm_eps: '1e-5' } };
}

/** Blocks of timm's stages 0–4: how many come before each stage. torchvision counts through, from 1. */
const blocksBefore = [0, 1, 3, 6, 8];

function torchvisionName(name: string): string {
  const block = /^blocks\.(\d+)\.(\d+)\.(.+)$/.exec(name);
  if (!block) {
    return name
      .replace(/^conv_stem\./, 'features.0.0.')
      .replace(/^bn1\./, 'features.0.1.')
      .replace(/^conv_head\./, 'classifier.0.')
      .replace(/^classifier\.(weight|bias)$/, 'classifier.3.$1');
  }
  const [, stage, index, rest] = block as unknown as [string, string, string, string];
  if (stage === '5') {
    return rest.replace(/^conv\./, 'features.12.0.').replace(/^bn1\./, 'features.12.1.');
  }
  const number = 1 + (blocksBefore[Number(stage)] as number) + Number(index);
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
