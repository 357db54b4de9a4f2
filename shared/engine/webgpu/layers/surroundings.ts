/** What the launches of layers without weights share: where their tensors lie, and what happens to values on their way out. */

import { activationCode, type Activation } from "../../activation.ts";
import type { TensorId, Undo, WritesInputGradient } from "../../operation.ts";
import { wholeVectors } from "../algorithms/operands.ts";
import type { DeviceTraits } from "../choice/candidate.ts";
import { elementwise, type Constants, type Dispatch } from "../dispatch.ts";
import type { PlanMemory } from "../memory.ts";

/** Where a plan's operations are launched. */
export interface Surroundings {
  readonly memory: PlanMemory;
  readonly traits: DeviceTraits;
}

/** A tensor as vectors of 4, its last words included. */
export function vectorsOf(memory: PlanMemory, id: TensorId): GPUBufferBinding {
  return wholeVectors(memory.tensor(id));
}

export function activationConstants(activation: Activation | undefined): Constants {
  return { ACTIVATION: activationCode(activation), SLOPE: activation?.slope ?? 0 };
}

export function targetConstants({ accumulate, undo }: WritesInputGradient): Constants {
  return {
    ACCUMULATE: accumulate ? 1 : 0,
    UNDO: activationCode(undo?.activation),
    SLOPE: undo?.activation.slope ?? 0,
  };
}

/** The output whose activation is undone, or, where none is, `unused`: a binding that a flag turns off needs a buffer too. */
export function undoneBinding(undo: Undo | undefined, memory: PlanMemory, unused: GPUBufferBinding): GPUBufferBinding {
  return undo ? vectorsOf(memory, undo.output) : unused;
}

/** On hardware many invocations hide the time that memory takes; a vector each, until there are more than it can hold. */
const HARDWARE_INVOCATIONS = 270_000;
/** In software an invocation is dear, but every core wants a few workgroups. */
const SOFTWARE_INVOCATIONS = 1024;
/**
 * Batch norm of 32,768 x 16 in software: 15, 12, 11 and 12 ms of CPU time with 4, 8, 16 and 32 vectors each, where a copy takes
 * 10 (medians, SwiftShader, 2-core Xeon 2.5 GHz with neighbours, 2026-11-21).
 */
const MOST_VECTORS_EACH = 16;

/** Vectors of 4 that each invocation handles. */
function vectorsEach({ isFallback }: DeviceTraits, vectors: number): number {
  const invocations = isFallback ? SOFTWARE_INVOCATIONS : HARDWARE_INVOCATIONS;
  return Math.min(Math.max(Math.ceil(vectors / invocations), 1), MOST_VECTORS_EACH);
}

/** A launch over `elements` elements as vectors of 4. Each invocation takes every STEP-th; STEP is a multiple of `period`. */
export function strided(
  { name, shader, elements, period = 1 }: { name: string; shader: string; elements: number; period?: number },
  traits: DeviceTraits,
  constants: Constants,
  bindings: readonly GPUBufferBinding[],
): Dispatch {
  const vectors = Math.ceil(elements / 4);
  const step = Math.ceil(vectors / vectorsEach(traits, vectors) / period) * period;
  return elementwise(name, shader, step, { ...constants, VECTORS: vectors, STEP: step }, bindings);
}

/** After how many vectors of 4 the channels of a matrix repeat. */
export function channelPeriod(channels: number): number {
  return channels % 4 === 0 ? channels / 4 : channels;
}
