import type { WeightsOrigin } from './events.ts';

/** `a random start`, `ImageNet weights`, the name of the file: what stands after “starts from”. */
export function originInWords(origin: WeightsOrigin): string {
  switch (origin.kind) {
    case 'random':
      return 'a random start';
    case 'pretrained':
      return 'ImageNet weights';
    case 'file':
      return origin.name;
    case 'checkpoint':
      return `a checkpoint of epoch ${origin.epoch}`;
  }
}
