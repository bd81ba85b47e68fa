import { coreml } from './coreml/index.ts';
import { onnx } from './onnx/index.ts';
import { safetensors } from './safetensors/index.ts';
import { tfjs } from './tfjs/index.ts';
import type { ExportFormat } from './types.ts';

export type { ExportedBytes, ExportFormat, ExportInput, ModelMetadata, Precision } from './types.ts';

/** Every format, by its id, in the order in which the page offers them. */
export const exportFormats = { mlpackage: coreml, onnx, tfjs, safetensors } as const satisfies Record<
  string,
  ExportFormat
>;
export type ExportFormatId = keyof typeof exportFormats;
