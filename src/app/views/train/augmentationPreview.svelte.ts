import type { AugmentedImage, ErrorReport, Outcome } from '../../../workers/protocol.ts';
import { imageData } from '../../pixels.ts';

/** Some training images, as pictures. */
export interface Pictures {
  readonly images: readonly {
    /** Into `Dataset.images`. */
    readonly index: number;
    /** As it is judged, then one an epoch; null: it could not be read. */
    readonly tiles: readonly ImageData[] | null;
  }[];
  /** How many training images there are. */
  readonly of: number;
}

type Answer = Outcome<{ readonly images: readonly AugmentedImage[]; readonly of: number }>;

/** Asks for pictures, one question at a time; of those that come up meanwhile the latest alone is asked. */
export function previewReader<Question>(read: (question: Question) => Promise<Answer>) {
  let pictures = $state.raw<Pictures | null>(null);
  let failure = $state.raw<ErrorReport | null>(null);
  let reading = $state(false);
  let next: { readonly question: Question } | null = null;

  async function work(): Promise<void> {
    if (reading) return;
    reading = true;
    while (next) {
      const { question } = next;
      next = null;
      const answer = await read(question);
      if (next) continue;
      failure = answer.ok ? null : answer.error;
      pictures = answer.ok ? picturesOf(answer.value) : null;
    }
    reading = false;
  }

  return {
    /** What was answered last; null before the first answer and after a failure. */
    get pictures(): Pictures | null {
      return pictures;
    },
    get failure(): ErrorReport | null {
      return failure;
    },
    get reading(): boolean {
      return reading;
    },
    want(question: Question): void {
      next = { question };
      void work();
    },
  };
}

function picturesOf({ images, of }: { images: readonly AugmentedImage[]; of: number }): Pictures {
  return { images: images.map(({ index, tiles }) => ({ index, tiles: tiles && tiles.map(imageData) })), of };
}
