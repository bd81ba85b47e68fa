/** A mistake that one could make, and the test that must not let it pass. */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  /** Exactly as it stands there, once. */
  readonly text: string;
  readonly replacement: string;
  /** A unit test, or one of `project`. */
  readonly test: string;
  /** `gpu`: needs an adapter for WebGPU. */
  readonly project?: 'gpu';
  /** A pattern of its titles, where the file has slow ones beside. */
  readonly only?: string;
}

/** Throws where the text isn't there, or more than once: the list has to follow the code. */
export function changed(source: string, { name, file, text, replacement }: Mutation): string {
  const times = source.split(text).length - 1;
  if (times !== 1) throw new Error(`“${name}”: ${file} has its text ${times} times.`);
  return source.replace(text, () => replacement);
}

const wasm = 'tests/unit/engine/wasm.test.ts';
const training = 'tests/unit/engine/training/mobilenet_v3_small.test.ts';
const [gpuNumerics, gpuTraining, gpuOptimisers, gpuLosses, gpuUpdate, gpuConvolutions, gpuPictures] = [
  'tests/gpu/numerics.test.ts',
  'tests/gpu/training.test.ts',
  'tests/gpu/optimisers.test.ts',
  'tests/gpu/losses.test.ts',
  'tests/gpu/compiled/update.test.ts',
  'tests/gpu/compiled/conv.test.ts',
  'tests/gpu/compiled/augmentation.test.ts',
];
const optimisers = 'tests/unit/engine/optimisers.test.ts';
const losses = 'tests/unit/engine/losses.test.ts';
const lossOfRun = 'tests/unit/training/loss.test.ts';
const resumed = 'tests/unit/training/run.test.ts';
const pictures = 'tests/unit/training/augmentation.test.ts';
const draws = 'tests/unit/training/augmentationDraws.test.ts';
const timm = 'tests/unit/weights/timm.test.ts';
const eps = 'tests/unit/workers/batchNormEps.test.ts';
const photographs = 'tests/unit/dataset/preprocessing.test.ts';

/** What docs/correctness.md lists: `npm run verify -- mutations`. */
export const mutations: readonly Mutation[] = [
  // Forward and backward.
  {
    name: 'convolution: TensorFlow’s SAME padding',
    file: 'src/engine/reference/ops/conv2d.ts',
    text: ': tf.conv2d(x as tf.Tensor4D, weight as tf.Tensor4D, stride, padding);',
    replacement: ": tf.conv2d(x as tf.Tensor4D, weight as tf.Tensor4D, stride, padding > 0 ? 'same' : 'valid');",
    test: wasm,
    only: 'layers',
  },
  {
    name: 'depthwise convolution: TensorFlow’s SAME padding',
    file: 'src/engine/reference/ops/conv2d.ts',
    text: '? tf.depthwiseConv2d(x as tf.Tensor4D, weight as tf.Tensor4D, stride, padding)',
    replacement:
      "? tf.depthwiseConv2d(x as tf.Tensor4D, weight as tf.Tensor4D, stride, padding > 0 ? 'same' : 'valid')",
    test: wasm,
    only: 'layers',
  },
  {
    name: 'convolution: gradients as if there were no padding',
    file: 'src/engine/reference/ops/conv2d.ts',
    text: 'dilations: [1, 1], pad: node.padding,',
    replacement: 'dilations: [1, 1], pad: 0,',
    test: wasm,
    only: 'layers',
  },
  {
    name: 'max pool: zeros outside, not −∞',
    file: 'src/engine/reference/wasmGradients/maxPool.ts',
    text: '  y.fill(-Infinity);',
    replacement: '  y.fill(attributes.pad > 0 ? 0 : -Infinity);',
    test: wasm,
    only: 'layers',
  },
  {
    name: 'max pool: the gradient goes to the last of equal maxima',
    file: 'src/engine/reference/wasmGradients/maxPool.ts',
    text: 'if (value > best[c]! || place',
    replacement: 'if (value >= best[c]! || place',
    test: wasm,
    only: 'layers',
  },
  {
    name: 'BatchNorm: 1e-5 in MobileNetV3, not 1e-3',
    file: 'src/architectures/mobilenet_v3_small/index.ts',
    text: 'eps: 1e-3, momentum',
    replacement: 'eps: 1e-5, momentum',
    test: wasm,
    only: 'logits as torchvision .*mobilenet',
  },
  {
    name: 'BatchNorm: torch’s momentum in MobileNetV3, not 0.01',
    file: 'src/architectures/mobilenet_v3_small/index.ts',
    text: 'momentum: 0.01 }',
    replacement: 'momentum: 0.1 }',
    test: 'tests/unit/architectures/torchvision.test.ts',
  },
  {
    name: 'hardsigmoid: Keras’s, 0.2 x + 0.5',
    file: 'src/engine/reference/wasmGradients/activation.ts',
    text: 'value >= 3 ? 1 : (value + 3) / 6',
    replacement: 'value >= 2.5 ? 1 : Math.max(0, (value + 2.5) / 5)',
    test: wasm,
    only: 'logits as torchvision .*mobilenet',
  },
  {
    name: 'BatchNorm: eps outside the square root',
    file: 'src/engine/reference/wasmGradients/batchNorm.ts',
    text: 'scale[c] = gamma[c]! / Math.sqrt(moments[channels + c]! + eps);',
    replacement: 'scale[c] = gamma[c]! / (Math.sqrt(moments[channels + c]!) + eps);',
    test: wasm,
    only: 'layers',
  },
  {
    name: 'BatchNorm: running variance biased',
    file: 'src/engine/reference/network.ts',
    text: 'momentum, count / Math.max(1, count - 1), inPlace',
    replacement: 'momentum, 1, inPlace',
    test: wasm,
    only: 'five Adam steps',
  },
  {
    name: 'BatchNorm: momentum as TensorFlow’s, what is kept',
    file: 'src/engine/reference/network.ts',
    text: 'const momentum = options.batchNormMomentum ?? (batchNorms.get(node) as BatchNorm2dNode).momentum;',
    replacement:
      'const momentum = 1 - (options.batchNormMomentum ?? (batchNorms.get(node) as BatchNorm2dNode).momentum);',
    test: wasm,
    only: 'five Adam steps',
  },
  {
    name: 'BatchNorm: no gradient through the batch’s variance',
    file: 'src/engine/reference/wasmGradients/batchNorm.ts',
    text: '(-value * products[c]! * inverse[c]!) / count',
    replacement: '0 * value * c',
    test: wasm,
    only: 'layers',
  },
  {
    name: 'ResNet50: the stride on the first convolution of a block (v1), not the second (v1.5)',
    file: 'src/architectures/resnet50/index.ts',
    text: `let x = net.conv2d(\`\${name}.conv1\`, input, width, { kernel: 1 });
  x = net.batchNorm2d(\`\${name}.bn1\`, x);
  x = net.activation(\`\${name}.relu1\`, x, 'relu');
  x = net.conv2d(\`\${name}.conv2\`, x, width, { kernel: 3, stride });`,
    replacement: `let x = net.conv2d(\`\${name}.conv1\`, input, width, { kernel: 1, stride });
  x = net.batchNorm2d(\`\${name}.bn1\`, x);
  x = net.activation(\`\${name}.relu1\`, x, 'relu');
  x = net.conv2d(\`\${name}.conv2\`, x, width, { kernel: 3 });`,
    test: wasm,
    only: 'logits as torchvision .*resnet',
  },
  {
    name: 'loss: the label is off by one',
    file: 'src/engine/reference/loss.ts',
    text: 'c === label ? onLabel : 0',
    replacement: 'c === (label + 1) % classes ? onLabel : 0',
    test: wasm,
    only: 'five Adam steps',
  },
  {
    name: 'loss: the parts of a batch weigh alike, whatever their size',
    file: 'src/engine/reference/network.ts',
    text: 'await differentiate(part, index, 1 / weight)',
    replacement: 'await differentiate(part, index, 1 / (part.n * parts.length))',
    test: optimisers,
    only: 'wasm',
  },
  {
    name: 'dropout: what is kept is not scaled',
    file: 'src/engine/reference/ops/dense.ts',
    text: 'const kept = 1 / (1 - node.p);',
    replacement: 'const kept = 1;',
    test: 'tests/unit/engine/dropout.test.ts',
  },
  {
    name: 'dropout: the share that is kept, not dropped',
    file: 'src/engine/reference/ops/dense.ts',
    text: 'uniform() < node.p ? 0 : kept',
    replacement: 'uniform() < node.p ? kept : 0',
    test: 'tests/unit/engine/dropout.test.ts',
  },
  {
    name: 'head only: the backbone in train mode',
    file: 'src/engine/compiled/plan/compile.ts',
    text: "training: mode === 'train' && trainable === 'all',",
    replacement: "training: mode === 'train',",
    project: 'gpu',
    test: 'tests/gpu/compiled/network.test.ts',
    only: 'the head alone',
  },
  // A whole network in training.
  {
    name: 'MobileNetV3 in training: BatchNorm’s eps 1e-5, not 1e-3',
    file: 'src/architectures/mobilenet_v3_small/index.ts',
    text: 'eps: 1e-3, momentum',
    replacement: 'eps: 1e-5, momentum',
    test: training,
    only: 'mobilenet_v3_small',
  },
  {
    name: 'MobileNetV3 in training: no bias correction of Adam’s mean',
    file: 'src/engine/reference/optimisers/adam.ts',
    text: 'learningRate / (1 - power(beta1, step))',
    replacement: 'learningRate',
    test: training,
    only: 'mobilenet_v3_small',
  },
  {
    name: 'MobileNetV3 in training: depthwise convolutions with TensorFlow’s SAME padding',
    file: 'src/engine/reference/ops/conv2d.ts',
    text: '? tf.depthwiseConv2d(x as tf.Tensor4D, weight as tf.Tensor4D, stride, padding)',
    replacement:
      "? tf.depthwiseConv2d(x as tf.Tensor4D, weight as tf.Tensor4D, stride, padding > 0 ? 'same' : 'valid')",
    test: training,
    only: 'mobilenet_v3_small',
  },
  // Optimisers.
  {
    name: 'Adam: no bias correction of the mean',
    file: 'src/engine/reference/optimisers/adam.ts',
    text: 'learningRate / (1 - power(beta1, step))',
    replacement: 'learningRate',
    test: wasm,
    only: 'five Adam steps',
  },
  {
    name: 'Adam: no bias correction of the squares',
    file: 'src/engine/reference/optimisers/adam.ts',
    text: 'Math.sqrt(1 - power(beta2, step))',
    replacement: '1',
    test: wasm,
    only: 'five Adam steps',
  },
  {
    name: 'Adam: eps inside the square root',
    file: 'src/engine/reference/optimisers/adam.ts',
    text: '(Math.sqrt(v) / correction + epsilon)',
    replacement: 'Math.sqrt(v / correction ** 2 + epsilon)',
    test: wasm,
    only: 'five Adam steps',
  },
  {
    name: 'Adam’s weight decay decoupled, AdamW’s not',
    file: 'src/engine/reference/optimisers/adam.ts',
    text: "const decay = kind === 'adam' ? weightDecay : 0;",
    replacement: "const decay = kind === 'adamw' ? weightDecay : 0;",
    test: optimisers,
    only: 'wasm',
  },
  {
    name: 'AdamW: weight decay without the learning rate',
    file: 'src/engine/reference/optimisers/adam.ts',
    text: '1 - learningRate * weightDecay',
    replacement: '1 - weightDecay',
    test: optimisers,
    only: 'wasm',
  },
  {
    name: 'SGD: Nesterov ignored',
    file: 'src/engine/reference/optimisers/sgd.ts',
    text: 'direction = nesterov ? g + momentum * carried : carried;',
    replacement: 'direction = carried;',
    test: optimisers,
    only: 'wasm',
  },
  {
    name: 'clipping: each tensor by its own norm',
    file: 'src/engine/reference/network.ts',
    text: 'gradient, move, scale, inPlace);',
    replacement: 'gradient, move, clipNorm === null ? null : clipScale([gradient], clipNorm, inPlace), inPlace);',
    test: optimisers,
    only: 'wasm',
  },
  {
    name: 'clipping: after the update’s moments were made',
    file: 'src/engine/reference/optimisers/adam.ts',
    text: 'const g = scale * gradient[i]! + decay * value[i]!;',
    replacement: 'const g = gradient[i]! + decay * value[i]!;',
    test: optimisers,
    only: 'wasm',
  },
  // Loss.
  {
    name: 'class weights: the mean is over images, not over weights',
    file: 'src/engine/reference/loss.ts',
    text: 'if (classWeights === null) return labels.length;',
    replacement: 'if (classWeights === null || labels.length > 0) return labels.length;',
    test: losses,
    only: 'rows',
  },
  {
    name: 'label smoothing: spread over the other classes alone',
    file: 'src/engine/reference/loss.ts',
    text: '(smoothing / classes) * (classWeights?.[c] ?? 1)',
    replacement: '(smoothing / (classes - 1)) * (classWeights?.[c] ?? 1)',
    test: losses,
    only: 'rows',
  },
  {
    name: 'label smoothing: all of a row has the weight of its label',
    file: 'src/engine/reference/loss.ts',
    text: 'sum += spread[c]! * (level - logit);',
    replacement: 'sum += (smoothing / classes) * (classWeights?.[label] ?? 1) * (level - logit);',
    test: losses,
    only: 'rows',
  },
  {
    name: 'class weights: a part is divided by its own weights, not by the batch’s',
    file: 'src/engine/reference/network.ts',
    text: 'differentiate(part, index, 1 / weight);',
    replacement: 'differentiate(part, index, 1 / weightOf(part.labels, options.loss));',
    test: losses,
    only: 'wasm',
  },
  {
    name: 'class weights: gradients are divided by the number of images',
    file: 'src/engine/reference/network.ts',
    text: 'differentiate(part, index, 1 / weight);',
    replacement: 'differentiate(part, index, 1 / total);',
    test: losses,
    only: 'wasm',
  },
  {
    name: 'class weights, the head alone: gradients are divided by the number of images',
    file: 'src/engine/head.ts',
    text: 'crossEntropy(logits, labels, classes, 1 / weight, options.loss)',
    replacement: 'crossEntropy(logits, labels, classes, 1 / n, options.loss)',
    test: losses,
    only: 'wasm',
  },
  {
    name: 'class weights, balanced: by all classes’ images, not by those of Train',
    file: 'src/training/loss.ts',
    text: 'for (const index of train) counts',
    replacement: 'for (const index of images.keys()) counts',
    test: lossOfRun,
    only: 'balanced by',
  },
  // Kernels for WebGPU.
  {
    name: 'WGSL, Adam: eps inside the square root',
    file: 'src/engine/reference/optimisers/adam.ts',
    text: '(sqrt(v) / u.correction + u.epsilon)',
    replacement: 'sqrt(v / (u.correction * u.correction) + u.epsilon)',
    project: 'gpu',
    test: gpuNumerics,
    only: 'five Adam steps',
  },
  {
    name: 'WGSL, Adam: no bias correction of the squares',
    file: 'src/engine/reference/optimisers/adam.ts',
    text: 'sqrt(v) / u.correction',
    replacement: 'sqrt(v)',
    project: 'gpu',
    test: gpuNumerics,
    only: 'five Adam steps',
  },
  {
    name: 'WGSL, SGD: Nesterov ignored',
    file: 'src/engine/reference/optimisers/sgd.ts',
    text: `\${nesterov ? '(g + u.momentum * carried)' : 'carried'}`,
    replacement: 'carried',
    project: 'gpu',
    test: gpuOptimisers,
    only: 'Nesterov',
  },
  {
    name: 'WGSL, clipping: small gradients are made larger',
    file: 'src/engine/compiled/wgsl/update.ts',
    text: 'min(1.0, u.maxNorm / (norm + u.epsilon))',
    replacement: 'u.maxNorm / (norm + u.epsilon)',
    project: 'gpu',
    test: gpuUpdate,
    only: 'gradients are clipped',
  },
  {
    name: 'WGSL, clipping: a part of each large gradient is not counted',
    file: 'src/engine/compiled/wgsl/update.ts',
    text: 'const groups = Math.ceil((end - begin) / NORM_SPAN);',
    replacement: 'const groups = Math.max(1, Math.floor((end - begin) / NORM_SPAN));',
    project: 'gpu',
    test: gpuUpdate,
    only: 'gradients are clipped',
  },
  {
    name: 'WGSL, label smoothing: spread over the other classes alone',
    file: 'src/engine/compiled/wgsl/crossEntropy.ts',
    text: 'onAll: smoothing / classes',
    replacement: 'onAll: smoothing / (classes - 1)',
    project: 'gpu',
    test: gpuLosses,
  },
  {
    name: 'WGSL, label smoothing: all of a row has the weight of its label',
    file: 'src/engine/compiled/wgsl/crossEntropy.ts',
    text: 'classWeights[min(c.$',
    replacement: 'classWeights[label + 0 * min(c.$',
    project: 'gpu',
    test: gpuLosses,
  },
  {
    name: 'class weights on WebGPU: gradients are divided by the number of images',
    file: 'src/engine/compiled/network.ts',
    text: 'words[STEP_WORDS.scale] = (scaled ? scale : 1) / weight;',
    replacement: 'words[STEP_WORDS.scale] = (scaled ? scale : 1) / total;',
    project: 'gpu',
    test: gpuLosses,
  },
  {
    name: 'WGSL, BatchNorm: eps outside the square root',
    file: 'src/engine/compiled/wgsl/normTable.ts',
    text: 'inverseSqrt(variance + u.eps)',
    replacement: '1.0 / (sqrt(variance) + u.eps)',
    project: 'gpu',
    test: gpuNumerics,
    only: 'five Adam steps',
  },
  {
    name: 'WGSL, BatchNorm: no gradient through the batch’s variance',
    file: 'src/engine/compiled/wgsl/normBackward.ts',
    text: '* part.dzHat * u.inverseRows',
    replacement: '* 0.0 * part.dzHat * u.inverseRows',
    project: 'gpu',
    test: gpuNumerics,
    only: 'five Adam steps',
  },
  {
    name: 'WGSL, a dense block: what its norms have left in the table is never added',
    file: 'src/engine/compiled/plan/gradients.ts',
    text: "draft.emit({ kind: 'normApply', node, dz: dx, x, coefficients, out: dx, accumulate: false });",
    replacement: 'void [node, dx, x, coefficients];',
    project: 'gpu',
    test: gpuTraining,
    only: 'densenet121',
  },
  {
    name: 'WGSL, a dense block: the table has what the last of its norms has left',
    file: 'src/engine/compiled/plan/gradients.ts',
    text: "of: added ? 'added' : 'rest' };",
    replacement: "of: 'rest' };",
    project: 'gpu',
    test: gpuTraining,
    only: 'densenet121',
  },
  {
    name: 'WGSL, BatchNorm: momentum as TensorFlow’s, what is kept',
    file: 'src/engine/compiled/wgsl/normTable.ts',
    text: '(1.0 - u.momentum) * meanBefore + u.momentum * mean',
    replacement: 'u.momentum * meanBefore + (1.0 - u.momentum) * mean',
    project: 'gpu',
    test: gpuNumerics,
    only: 'five Adam steps',
  },
  {
    name: 'WGSL, BatchNorm: running variance biased',
    file: 'src/engine/compiled/wgsl/normTable.ts',
    text: '(u.momentum * u.unbiased) * variance',
    replacement: 'u.momentum * variance',
    project: 'gpu',
    test: gpuNumerics,
    only: 'five Adam steps',
  },
  {
    name: 'WGSL, convolution: padding on the other side',
    file: 'src/engine/compiled/wgsl/conv.ts',
    text: 'y * u.stride - u.padding, (pixel',
    replacement: 'y * u.stride + u.padding, (pixel',
    project: 'gpu',
    test: gpuConvolutions,
    only: 'convolution with its statistics',
  },
  {
    name: 'WGSL, convolution: what lies outside is the norm’s shift',
    file: 'src/engine/compiled/wgsl/gemmProduct.ts',
    text: `return select(vec4<f32>(0.0), \${name}_act(\${normed ? 'fma(t.scale, raw, t.shift)' : 'raw'})\${factor}, row >= 0);`,
    replacement: `return \${name}_act(\${normed ? 'fma(t.scale, select(vec4<f32>(0.0), raw, row >= 0), t.shift)' : 'raw'})\${factor};`,
    project: 'gpu',
    test: gpuConvolutions,
    only: 'convolution with its statistics',
  },
  {
    name: 'WGSL, convolution: the filter’s gradient lacks what was there',
    file: 'src/engine/compiled/wgsl/sliceSums.ts',
    text: 'gradients[into + four] = before + part.sum;',
    replacement: 'gradients[into + four] = part.sum;',
    project: 'gpu',
    test: gpuConvolutions,
    only: 'filter gradient',
  },
  {
    name: 'WGSL, augmentation: mirrored one pixel off',
    file: 'src/engine/compiled/wgsl/augmentationCode.ts',
    text: 'u.size - 1 - column, mirrored',
    replacement: '(u.size - column) % u.size, mirrored',
    project: 'gpu',
    test: gpuPictures,
    only: 'float64 tensors',
  },
  {
    name: 'WGSL, augmentation: means of red and blue swapped',
    file: 'src/engine/compiled/wgsl/augmentationCode.ts',
    text: 'u.red, u.green, u.blue',
    replacement: 'u.blue, u.green, u.red',
    project: 'gpu',
    test: gpuPictures,
    only: 'as the processor makes them',
  },
  {
    name: 'WGSL, augmentation: deviations of red and blue swapped',
    file: 'src/engine/compiled/wgsl/augmentationCode.ts',
    text: 'u.ofRed, u.ofGreen, u.ofBlue',
    replacement: 'u.ofBlue, u.ofGreen, u.ofRed',
    project: 'gpu',
    test: gpuPictures,
    only: 'as the processor makes them',
  },
  // Images.
  {
    name: 'normalisation: mean and deviation of red and blue swapped',
    file: 'src/engine/normalise.ts',
    text: 'const [m0, m1, m2] = mean as [number, number, number];\n  const [s0, s1, s2] = std as [number, number, number];',
    replacement:
      'const [m2, m1, m0] = mean as [number, number, number];\n  const [s2, s1, s0] = std as [number, number, number];',
    test: 'tests/unit/engine/augmentedInput.test.ts',
  },
  {
    name: 'normalisation: ImageNet’s means in the order of BGR',
    file: 'src/architectures/types.ts',
    text: '[0.485, 0.456, 0.406]',
    replacement: '[0.406, 0.456, 0.485]',
    test: 'tests/unit/architectures/torchvision.test.ts',
  },
  {
    name: 'resize: no antialiasing',
    file: 'src/dataset/resize.ts',
    text: 'const support = Math.max(scale, 1);',
    replacement: 'const support = 1;',
    test: photographs,
  },
  {
    name: 'resize: the long side rounded, not cut off',
    file: 'src/dataset/geometry.ts',
    text: '{ width: short, height: Math.floor((short * height) / width) }',
    replacement: '{ width: short, height: Math.round((short * height) / width) }',
    test: photographs,
  },
  {
    name: 'centre crop: off by one',
    file: 'src/dataset/geometry.ts',
    text: 'return n % 2 === 1 && down % 2 === 1 ? down + 1 : down;',
    replacement: 'return down;',
    test: 'tests/unit/dataset/geometry.test.ts',
  },
  {
    name: 'affine: about the middle of the last pixel’s corner',
    file: 'src/training/augmentation.ts',
    text: 'const centre = size / 2;',
    replacement: 'const centre = (size - 1) / 2;',
    test: pictures,
  },
  {
    name: 'affine: shifted before it is turned',
    file: 'src/training/augmentation.ts',
    text: 'return [m0, m1, m0 * ox + m1 * oy + centre, m3, m4, m3 * ox + m4 * oy + centre];',
    replacement:
      'return [m0, m1, -(m0 + m1) * centre + centre - translate[0], m3, m4, -(m3 + m4) * centre + centre - translate[1]];',
    test: pictures,
  },
  {
    name: 'affine: sheared before it is turned',
    file: 'src/training/augmentation.ts',
    text: 'const b = (-cos(rotation - sy) * tan(sx)) / cos(sy) - sin(rotation);',
    replacement: 'const b = (cos(rotation - sy) * tan(sx)) / cos(sy) - sin(rotation);',
    test: pictures,
  },
  {
    name: 'contrast: about mid-grey, not the picture’s mean',
    file: 'src/engine/augmentation.ts',
    text: 'return sum / (rgb.length / 3);',
    replacement: 'return 127.5;',
    test: pictures,
  },
  {
    name: 'colour steps: always in one order',
    file: 'src/training/augmentation.ts',
    text: 'const order = draw.shuffle([',
    replacement: 'const order = Array.from([',
    test: draws,
  },
  {
    name: 'crop: ratio uniform, not its logarithm',
    file: 'src/training/augmentation.ts',
    text: 'exp(draw.between(log(low), log(high)))',
    replacement: 'draw.between(low, high)',
    test: draws,
  },
  // Weights files.
  {
    name: 'timm’s MobileNetV3: torchvision’s eps',
    file: 'src/weights/names.ts',
    text: 'const TIMM_EPS = 1e-5;',
    replacement: 'const TIMM_EPS = 1e-3;',
    test: timm,
  },
  {
    name: 'timm’s MobileNetV3: the first two batch norms of a block swapped',
    file: 'src/weights/names.ts',
    text: "bn1: '0.1',\n        conv_dw: '1.0',\n        bn2: '1.1',",
    replacement: "bn1: '1.1',\n        conv_dw: '1.0',\n        bn2: '0.1',",
    test: timm,
  },
  {
    name: 'a file’s BatchNorm eps: not put into the network',
    file: 'src/training/attempt.ts',
    text: 'withBatchNormEps(attempt.graph, first.batchNormEps)',
    replacement: 'withBatchNormEps(attempt.graph, null)',
    test: eps,
  },
  {
    name: 'a file’s BatchNorm eps: not in the checkpoint',
    file: 'src/training/attempt.ts',
    text: 'batchNormEps: batchNormEpsOf(graph),',
    replacement: 'batchNormEps: null,',
    test: eps,
  },
  // Random numbers.
  {
    name: 'Philox: nine rounds',
    file: 'src/random.ts',
    text: 'round < 10',
    replacement: 'round < 9',
    test: 'tests/unit/support/formulaWeights.test.ts',
  },
  {
    name: 'order of an epoch: not of the seed',
    file: 'src/training/batches.ts',
    text: 'random(seed, STREAMS.order, epoch)',
    replacement: 'random(Math.floor(Math.random() * 2 ** 32), STREAMS.order, epoch)',
    test: resumed,
    only: 'as if nothing had happened',
  },
  {
    name: 'order of an epoch: the same in each',
    file: 'src/training/batches.ts',
    text: 'random(seed, STREAMS.order, epoch)',
    replacement: 'random(seed, STREAMS.order)',
    test: resumed,
    only: 'what is drawn next',
  },
  {
    name: 'resume: updates are counted anew',
    file: 'src/engine/reference/network.ts',
    text: 'step = state.step;',
    replacement: 'step = 0;',
    test: resumed,
    only: 'as if nothing had happened',
  },
];
