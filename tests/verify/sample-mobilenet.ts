/** MobileNetV3-Small from random weights at 64 px reaches over 90 % on the sample's Test split. `--seeds 42` */
import { verifySample } from './headless/sample.ts';

await verifySample(
  {
    model: { architecture: 'mobilenet_v3_small' },
    training: { epochs: 60, learning_rate: 0.002, batchnorm_momentum: 0.1 },
  },
  0.9,
);
