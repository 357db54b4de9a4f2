/** Every launch of a program, made from its plan before the first step. */

import type { Operation } from "../operation.ts";
import type { Plan } from "../plan.ts";
import type { ScratchElements } from "./algorithms/operands.ts";
import type { ChooseCandidate, DeviceTraits } from "./choice/candidate.ts";
import { elementwise, overVectors, type Dispatch } from "./dispatch.ts";
import type { Kernels, PreparedDispatch } from "./kernels.ts";
import { lossTotal } from "./layers/loss.ts";
import type { PlanMemory } from "./memory.ts";
import type { Surroundings } from "./layers/surroundings.ts";
import { dispatchesOf, scratchOf } from "./operations.ts";
import { updateDispatches } from "./updates.ts";

/** The launches of a program, by what runs them. */
export interface Launches {
  /** For each operation of the plan's `forward` its launches. */
  readonly forward: readonly (readonly PreparedDispatch[])[];
  /** For each operation of the plan's `evaluation` its launches. */
  readonly evaluation: readonly (readonly PreparedDispatch[])[];
  readonly lossTotal: readonly PreparedDispatch[];
  /** For each operation of the plan's `backward` its launches. */
  readonly backward: readonly (readonly PreparedDispatch[])[];
  readonly update: readonly PreparedDispatch[];
  readonly difference: readonly PreparedDispatch[];
  /** Of any range: workgroups are set with it. */
  readonly settle: PreparedDispatch;
  /** In place of the gradient of running statistics what the base has to lose to become them; none where there are none. */
  readonly statistics: readonly PreparedDispatch[];
  /** Of a batch in parts: the sum so far gains a part's gradient, the last part's gradient gains the sum so far. */
  readonly addToSum: readonly PreparedDispatch[];
  readonly addSum: readonly PreparedDispatch[];
}

/** Operations use the scratch buffers one after another. */
export function scratchOfPlan(plan: Plan, traits: DeviceTraits, choose: ChooseCandidate): ScratchElements {
  const operations = [...plan.forward, ...plan.backward, ...plan.evaluation];
  const scratch = operations.map((operation) => scratchOf(operation, traits, choose));
  return {
    lowered: Math.max(...scratch.map(({ lowered }) => lowered)),
    products: Math.max(...scratch.map(({ products }) => products)),
  };
}

export async function prepareAll(kernels: Kernels, around: Surroundings, choose: ChooseCandidate): Promise<Launches> {
  const { memory } = around;
  const { plan } = memory;
  const { elements, trainableElements } = plan.layout;
  const { parameters, gradient, base, sent, difference } = memory.vectors;
  const each = (operations: readonly Operation[]): Promise<PreparedDispatch[][]> =>
    Promise.all(operations.map((operation) => kernels.prepare(dispatchesOf(operation, around, choose))));
  const vectors = (
    shader: string,
    buffers: readonly GPUBuffer[],
    end: number,
    begin = 0,
  ): Promise<PreparedDispatch[]> => {
    if (end === begin) return Promise.resolve([]);
    const isVector = new Set<GPUBuffer>(Object.values(memory.vectors));
    const bindings = buffers.map((buffer) =>
      isVector.has(buffer) ? { buffer, offset: 4 * begin, size: 4 * (end - begin) } : { buffer },
    );
    return kernels.prepare([overVectors(shader, shader, end - begin, bindings)]);
  };
  const { gradientSum } = memory;
  const sumsOf = (from: GPUBuffer, to: GPUBuffer): Promise<PreparedDispatch[]> =>
    plan.microBatches > 1 ? vectors("add_vectors", [from, to], trainableElements) : Promise.resolve([]);
  // Asked for together, so that the browser compiles them together.
  const [forward, evaluation, total, backward, update, taking, settle, statistics, addToSum, addSum] =
    await Promise.all([
      each(plan.forward),
      each(plan.evaluation),
      kernels.prepare([lossTotal(memory)]),
      each(plan.backward),
      kernels.prepare(updateDispatches(memory)),
      vectors("elastic_difference", [parameters, base, sent, difference], elements),
      kernels.prepare([settleDispatch(memory)]),
      vectors("statistics_gradient", [base, parameters, gradient], elements, trainableElements),
      sumsOf(gradient, gradientSum),
      sumsOf(gradientSum, gradient),
    ]);
  return {
    forward,
    evaluation,
    lossTotal: total,
    backward,
    update,
    difference: taking,
    settle: settle[0]!,
    statistics,
    addToSum,
    addSum,
  };
}

function settleDispatch({ pull, vectors }: PlanMemory): Dispatch {
  const { sent, base, parameters } = vectors;
  const bindings = [pull, sent, base, parameters].map((buffer) => ({ buffer }));
  return elementwise("elastic_settle", "elastic_settle", 1, {}, bindings);
}

/** Encodes launches into one compute pass. WebGPU orders their memory accesses. */
export function runPass(
  encoder: GPUCommandEncoder,
  launches: readonly PreparedDispatch[],
  timestampWrites?: GPUComputePassTimestampWrites,
): void {
  const pass = encoder.beginComputePass(timestampWrites && { timestampWrites });
  for (const { pipeline, bindGroup, workgroups } of launches) {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(...workgroups);
  }
  pass.end();
}
