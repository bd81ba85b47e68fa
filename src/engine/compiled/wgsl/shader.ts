import type { Program } from '../kernels.ts';
import type { Element } from '../memory.ts';

export interface Storage {
  readonly name: string;
  /** `read` for memory that no call of the same dispatch writes and that is never in the arena (parameters); else `read_write`. */
  readonly access: 'read' | 'read_write';
  readonly element: 'f32' | 'vec4<f32>' | 'vec4<f16>' | 'u32' | 'i32';
}

/**
 * WGSL with its declarations. `integers` and `floats` become fields of `u`. `body` sees `group`, the flat index of the workgroup, `lane`,
 * the thread's index in it, and `index`, the flat index of the thread, all i32. Arena memory is bound `read_write` even where it is only
 * read: parts of one buffer may not be bound as both in one dispatch. Which of the storage is of f16 becomes part of the program's name.
 */
export function shader(
  name: string,
  options: {
    readonly storage: readonly Storage[];
    readonly integers: readonly string[];
    readonly floats?: readonly string[];
    readonly workgroup?: number;
    /** Directives such as `enable subgroups;`. */
    readonly directives?: string;
    readonly declarations?: string;
    readonly body: string;
  },
): Program {
  const size = options.workgroup ?? 64;
  const fields = [
    ...options.integers.map((field) => `${field} : i32`),
    ...(options.floats ?? []).map((field) => `${field} : f32`),
  ];
  const halves = options.storage.filter(({ element }) => element === 'vec4<f16>').map((s) => s.name);
  const code = `${halves.length > 0 ? 'enable f16;\n' : ''}${options.directives ?? ''}
${options.storage
  .map((s, i) => `@group(0) @binding(${i}) var<storage, ${s.access}> ${s.name} : array<${s.element}>;`)
  .join('\n')}
struct Uniforms { ${fields.join(', ')} }
@group(0) @binding(${options.storage.length}) var<uniform> u : Uniforms;
${options.declarations ?? ''}
@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) workgroupId : vec3<u32>, @builtin(num_workgroups) workgroups : vec3<u32>,
        @builtin(local_invocation_index) localIndex : u32) {
  let group = i32(workgroupId.y * workgroups.x + workgroupId.x);
  let lane = i32(localIndex);
  let index = group * ${size} + lane;
  ${options.body}
}`;
  return { name: halves.length > 0 ? `${name}-f16:${halves.join(',')}` : name, code };
}

export const arena = (name: string, element: Element = 'f32'): Storage => ({
  name,
  access: 'read_write',
  element: `vec4<${element}>`,
});
export const parameters = (name: string): Storage => ({ name, access: 'read', element: 'vec4<f32>' });
