import { copyCrops, describeUploads, WORDS } from '../../augmentationUpload.ts';
import type { AugmentedBatch, ImageBatch, TrainingBatch } from '../../types.ts';
import { boundsOf, parameterWords } from '../augmentedInput.ts';
import type { Dispatch } from '../kernels.ts';
import { kept, padded, type Memory } from '../memory.ts';
import type { Plan } from '../plan/compile.ts';
import { augmentedInput, widenedInput } from '../wgsl/augmentation.ts';
import type { Buffers } from './buffers.ts';
import { prepare, type Command, type Commands } from './commands.ts';
import type { Pipelines } from './pipelines.ts';

/** Brings batches to where a plan reads them. */
export interface Images {
  /**
   * Uploads; gives the commands that make the plan's input of it. To be run before the next upload.
   * @throws GpuMemoryError
   */
  upload(batch: ImageBatch | TrainingBatch, plan: Plan): Promise<readonly Command[]>;
  /** Gives back what a plan needed alone; it runs no more. */
  forget(plan: Plan): void;
}

/** What one plan needs for one kind of batch; made anew where a batch needs larger uploads. */
interface Ready {
  readonly key: string;
  /** Its own memories; what the processor writes comes first. */
  readonly uploads: readonly Memory[];
  readonly commands: Commands;
  /** Of `augmentedInput`: which of the commands is left out where no image has contrast. */
  readonly meanGrey: number | null;
}

export function createImages(device: GPUDevice, pipelines: Pipelines, buffers: Buffers): Images {
  const ready = new WeakMap<Plan, Ready>();
  /** Of pictures: shared by all plans, since one runs at a time. A batch that takes fewer leaves the rest to the next. */
  const crops: Memory[] = [];
  let words = new Int32Array(0);

  const write = (memory: Memory, data: Float32Array | Int32Array, length = data.length): void => {
    device.queue.writeBuffer(
      buffers.keptPlace(memory).buffer,
      0,
      data.buffer as ArrayBuffer,
      data.byteOffset,
      length * 4,
    );
  };
  const forget = (plan: Plan): void => {
    const there = ready.get(plan);
    there?.commands.dispose();
    there?.uploads.forEach(buffers.giveBack);
    ready.delete(plan);
  };
  const prepared = async (
    plan: Plan,
    key: string,
    make: () => Omit<Ready, 'key' | 'commands'> & { dispatches: Dispatch[] },
  ) => {
    const there = ready.get(plan);
    if (there?.key === key) return there;
    forget(plan);
    const { dispatches, ...rest } = make();
    await buffers.keep(rest.uploads);
    const works = dispatches.map((dispatch) => ({ dispatch, node: 'input', kind: 'input', weight: 0 }));
    const commands = await prepare(device, pipelines, works, buffers.placeIn(plan.arena));
    const made: Ready = { ...rest, key, commands };
    ready.set(plan, made);
    return made;
  };

  const floats = async ({ images, n, size }: ImageBatch, plan: Plan): Promise<readonly Command[]> => {
    const channels = images.length / (n * size * size);
    if (!Number.isInteger(channels) || padded(channels) !== plan.input.channels) {
      throw new Error(`${images.length} numbers are no batch [${n},${size},${size},C] for this network.`);
    }
    const { uploads, commands } = await prepared(plan, `floats ${channels}`, () => {
      const memory = kept('ready images', images.length);
      return {
        uploads: [memory],
        meanGrey: null,
        dispatches: widenedInput({ images: memory, channels, out: plan.input }),
      };
    });
    write(uploads[0]!, images);
    return commands.list;
  };

  const pictures = async (batch: AugmentedBatch, plan: Plan): Promise<readonly Command[]> => {
    const { n, size, mean, std } = batch;
    const { parameters, parts, hasContrast } = describeUploads(batch.pictures);
    const pixels = parts.map(({ words: needed }, i) => {
      const there = crops[i];
      if (there !== undefined && there.floats >= needed) return there;
      if (there !== undefined) buffers.giveBack(there);
      return (crops[i] = kept(`crops ${i}`, fewSizes(needed)));
    });
    await buffers.keep(pixels);
    const key = `pictures ${[...mean, ...std, ...pixels.map(({ floats: size }) => size)].join()}`;
    const { uploads, commands, meanGrey } = await prepared(plan, key, () => {
      const memory = kept('augmentations', parameterWords(n));
      const means = kept('mean greys', n);
      const {
        reduce,
        turn,
        meanGrey: grey,
        finish,
      } = augmentedInput({
        mean,
        std,
        images: n,
        size,
        parameters: memory,
        pixels,
        reduced: plan.reduced,
        means,
        out: plan.input,
      });
      const dispatches = [...reduce, turn, grey, finish];
      return { uploads: [memory, means], meanGrey: dispatches.indexOf(grey), dispatches };
    });
    const all = new Int32Array(parameterWords(n));
    all.set(parameters);
    all.set(boundsOf(parts), n * WORDS);
    write(uploads[0]!, all);
    for (const [i, { first, end, words: needed }] of parts.entries()) {
      if (words.length < needed) words = new Int32Array(fewSizes(needed));
      copyCrops(batch.pictures, first, end, parameters, words);
      write(pixels[i]!, words, needed);
    }
    return hasContrast ? commands.list : commands.list.filter((_, i) => i !== meanGrey);
  };

  return { upload: (batch, plan) => ('pictures' in batch ? pictures(batch, plan) : floats(batch, plan)), forget };
}

/** Room for what the next batches may need, too: crops are drawn. */
function fewSizes(words: number): number {
  return Math.ceil((words * 1.25) / 1024) * 1024;
}
