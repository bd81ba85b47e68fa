import type { Certificate, Golden } from '../../parity/types.ts';
import type { ExportInput } from '../types.ts';

/** One of the models in a bundle. */
export interface BundledFile {
  /** Of its format. */
  readonly id: string;
  readonly fileName: string;
  /** As it is downloaded by itself, and as it was certified. */
  readonly bytes: Uint8Array;
  /** Null where it was not compared with the trained model. */
  readonly certificate: Certificate | null;
  /** What it was compared by; empty without a certificate. */
  readonly goldens: readonly Golden[];
}

export type BundleInput = Pick<ExportInput, 'name' | 'labels' | 'imageSize' | 'temperature' | 'metadata'>;

export interface Bundle {
  readonly input: BundleInput;
  readonly files: readonly BundledFile[];
  /** The effective configuration. */
  readonly configYaml: string;
  /** Markdown; null: there is none. */
  readonly modelCard: string | null;
}

/** The formats that Vision runs. */
export function isCoreML(id: string): boolean {
  return id === 'mlpackage' || id === 'mlmodel';
}
