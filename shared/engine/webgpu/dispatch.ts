/** What one kernel launch needs, as data: made by `operations.ts` and `vectors.ts`, turned into GPU objects by `kernels.ts`. */

/** The values of a shader's `override` constants; flags are 0 or 1. */
export type Constants = Readonly<Record<string, number>>;

export interface Dispatch {
  /** The operation in words, for error messages and measurements. */
  readonly name: string;
  /** File name of the shader, without its ending. */
  readonly shader: string;
  /** `main` where nothing is said. */
  readonly entryPoint?: string;
  readonly constants: Constants;
  /** In the order of the shader's bindings. */
  readonly bindings: readonly GPUBufferBinding[];
  readonly workgroups: readonly [number, number, number];
}

/** WebGPU's default `maxComputeWorkgroupsPerDimension`, which every device has at least. */
export const MAX_WORKGROUPS = 65_535;

/** Invocations per workgroup of the kernels that handle elements one by one. */
const ELEMENTWISE_INVOCATIONS = 64;

/** A launch over `items` items, one per invocation, folded into two dimensions where one is too short. */
export function elementwise(
  name: string,
  shader: string,
  items: number,
  constants: Constants,
  bindings: readonly GPUBufferBinding[],
): Dispatch {
  return {
    name,
    shader,
    constants: { ...constants, INVOCATIONS: ELEMENTWISE_INVOCATIONS },
    bindings,
    workgroups: folded(Math.ceil(items / ELEMENTWISE_INVOCATIONS)),
  };
}

/** So many workgroups or a few more, in two dimensions where one is too short. */
export function folded(workgroups: number): readonly [number, number, number] {
  const rows = Math.max(1, Math.ceil(workgroups / MAX_WORKGROUPS));
  return [Math.ceil(workgroups / rows), rows, 1];
}

/** Vectors of 4 that each invocation of the whole-buffer kernels handles (measured in shaders/README.md). */
const VECTORS_PER_INVOCATION = 4;

/** A launch over a whole parameter-sized buffer, for a shader with the constant VECTORS. */
export function overVectors(
  name: string,
  shader: string,
  elements: number,
  bindings: readonly GPUBufferBinding[],
): Dispatch {
  const vectors = elements / 4;
  return elementwise(name, shader, Math.ceil(vectors / VECTORS_PER_INVOCATION), { VECTORS: vectors }, bindings);
}
