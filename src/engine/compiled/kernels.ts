import type { Call, CallOf } from './calls.ts';
import type { Matrix, Memory } from './memory.ts';

/** WGSL, whole. One name, one code: pipelines are made once a name. */
export interface Program {
  readonly name: string;
  readonly code: string;
}

/** One dispatch of a compute pipeline. */
export interface Dispatch {
  readonly program: Program;
  /** Storage buffers in the order of their bindings; the uniforms follow. No memory twice. */
  readonly memories: readonly Memory[];
  /** Fields of `u`: integers first, then floats. They never change. */
  readonly integers: readonly number[];
  readonly floats?: readonly number[];
  /** Flat; the device folds it into two dimensions. */
  readonly workgroups: number;
}

/** Multiply-adds count twice; bytes as the kernel moves them if every cache line is used once. */
export interface Cost {
  readonly flops: number;
  readonly bytes: number;
}

/** What kernels may know of the device. */
export interface DeviceTraits {
  /** Runs on the processor: no shared memory worth the name, barriers are dear. */
  readonly software: boolean;
  /** And none is of fewer than 8 threads. */
  readonly subgroups: boolean;
}

/** What a plan asks a kernel; free of WGSL, so that another set of kernels can stand behind the same plan. */
export interface KernelTraits<C extends Call> {
  cost(call: C): Cost;
  /** Floats of scratch memory, the kernel's alone for the time of the call; 0: none. */
  scratch?(call: C): number;
  /** Rows of one tile of the sums that this kernel makes beside its output; absent: it can't make them. */
  tileRows?(call: C): number;
  /** Parts in which it makes the gradient of a filter; more than 1 may be left to `sliceSums`, else its scratch is of all of them. */
  slices?(call: C): number;
}

export interface Kernel<C extends Call> extends KernelTraits<C> {
  /** `scratch` is there if it was asked for. */
  dispatches(call: C, scratch: Matrix | null): readonly Dispatch[];
}

export type KernelTable = { readonly [K in Call['kind']]: Kernel<CallOf<K>> };
export type TraitsTable = { readonly [K in Call['kind']]: KernelTraits<CallOf<K>> };
