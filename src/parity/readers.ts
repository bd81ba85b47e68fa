import { readMlmodel } from './mlmodel/read.ts';
import { readMlpackage } from './mlpackage/read.ts';
import { readOnnx } from './onnx/read.ts';
import type { Pause } from './pauses.ts';
import { readTfjs } from './tfjs/read.ts';
import type { CertifiedFormat, ParsedModel } from './types.ts';

/**
 * Gets the very file that the user downloads, zip and all. Refuses what it doesn't know: nothing in a file may mean something that the
 * interpreter doesn't do. Throws `UnreadableModelError`, whatever the bytes are, and what `between` throws, which is called after each weight
 * and operation.
 */
type Reader = (bytes: Uint8Array, between?: Pause) => Promise<ParsedModel>;

/** One line a format: `read…` of src/parity/FORMAT/read.ts. */
export const readers: Readonly<Record<CertifiedFormat, Reader>> = {
  mlpackage: readMlpackage,
  mlmodel: readMlmodel,
  onnx: readOnnx,
  tfjs: readTfjs,
};
