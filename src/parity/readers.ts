import { readMlmodel } from './mlmodel/read.ts';
import { readMlpackage } from './mlpackage/read.ts';
import { readOnnx } from './onnx/read.ts';
import { readTfjs } from './tfjs/read.ts';
import type { CertifiedFormat, ParsedModel } from './types.ts';

/** Gets the very file that the user downloads, zip and all. Throws `UnreadableModelError`. */
type Reader = (bytes: Uint8Array) => Promise<ParsedModel>;

/** One line a format: `read…` of src/parity/FORMAT/read.ts. */
export const readers: Readonly<Record<CertifiedFormat, Reader>> = {
  mlpackage: readMlpackage,
  mlmodel: readMlmodel,
  onnx: readOnnx,
  tfjs: readTfjs,
};
