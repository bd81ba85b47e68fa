import { coreml } from './coreml/index.ts';
import { coremltoolsKit } from './coremltoolsKit/index.ts';
import { mlmodel } from './mlmodel/index.ts';
import { onnx } from './onnx/index.ts';
import { pytorch } from './pytorch/index.ts';
import { safetensors } from './safetensors/index.ts';
import { tfjs } from './tfjs/index.ts';
import type { ExportFormat } from './types.ts';

export type { ExportedBytes, ExportFormat, ExportInput, ModelMetadata, Precision } from './types.ts';

/** Every format, by its id, in the order in which the page offers them. */
export const exportFormats = {
  mlpackage: coreml,
  mlmodel,
  onnx,
  tfjs,
  safetensors,
  pytorch,
  coremltools_kit: coremltoolsKit,
} as const satisfies Record<string, ExportFormat>;
export type ExportFormatId = keyof typeof exportFormats;
