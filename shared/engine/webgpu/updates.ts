/**
 * The launches that end a step, after the backward pass: norms in two stages where the plan's optimizer needs them (of each
 * tensor for lars, of the whole gradient for clipping), then the update of the trained part. What they need besides the
 * vectors of every plan is made here too, with the plan's other buffers.
 */

import { alignUp, TENSOR_ALIGNMENT_ELEMENTS } from "../../model/layout.ts";
import { hasSecondMoment, isAdapted, OPTIMIZER_DEFAULTS, trainedTensors, type Optimizer } from "../optimizer.ts";
import type { Plan } from "../plan.ts";
import { elementwise, overVectors, type Constants, type Dispatch } from "./dispatch.ts";

/** As the shader has them by default. */
const INVOCATIONS = 64;
/** Vectors that one invocation sums, until a range has `MOST_WORKGROUPS`: the second stage sums one after another. */
const VECTORS_PER_INVOCATION = 64;
const MOST_WORKGROUPS = 64;
const PLAIN = 0xffff_ffff;

/** A run of the parameter vector whose norm is wanted, in vectors of 4. */
interface Range {
  readonly first: number;
  readonly vectors: number;
}

interface NormMemory {
  readonly workgroups: number;
  readonly rows: number;
  /** Per workgroup of the first stage. */
  readonly workgroupTable: GPUBuffer;
  /** First partial and number of partials of each range. */
  readonly rowTable: GPUBuffer;
  /** The same of all ranges' totals. */
  readonly wholeTable: GPUBuffer;
  readonly partials: GPUBuffer;
  /** Of each range. */
  readonly totals: GPUBuffer;
  /** Of all ranges. */
  readonly whole: GPUBuffer;
  /** Of lars: for each 64 elements their range. */
  readonly tensorOf: GPUBuffer;
}

/** Empty where the optimizer needs nothing of its own. */
export interface UpdateMemory {
  readonly secondMoment?: GPUBuffer;
  readonly norms?: NormMemory;
}

type Make = (name: string, words: number) => GPUBuffer;

export function makeUpdateMemory(plan: Plan, make: Make, queue: GPUQueue): UpdateMemory {
  const { optimizer, layout } = plan;
  const needsNorms = optimizer.kind === "lars" || optimizer.clipNorm !== undefined;
  return {
    ...(hasSecondMoment(optimizer) ? { secondMoment: make("second moment", layout.elements) } : {}),
    ...(needsNorms ? { norms: makeNorms(plan, make, queue) } : {}),
  };
}

function makeNorms(plan: Plan, make: Make, queue: GPUQueue): NormMemory {
  const { optimizer, layout } = plan;
  const filled = (name: string, words: readonly number[]): GPUBuffer => {
    const buffer = make(name, words.length);
    queue.writeBuffer(buffer, 0, Uint32Array.from(words));
    return buffer;
  };
  const isByTensor = optimizer.kind === "lars";
  const ranges: readonly Range[] = isByTensor
    ? trainedTensors(layout).map(({ offset, elements }) => ({ first: offset / 4, vectors: Math.ceil(elements / 4) }))
    : [{ first: 0, vectors: layout.trainableElements / 4 }];
  const counts = ranges.map(workgroupsFor);
  const workgroups = counts.reduce((sum, count) => sum + count, 0);
  let begun = 0;
  const rows = counts.flatMap((count) => {
    const first = begun;
    begun += count * INVOCATIONS;
    return [first, count * INVOCATIONS];
  });
  return {
    workgroups,
    rows: ranges.length,
    workgroupTable: filled(
      "ranges of norms",
      ranges.flatMap(({ first, vectors }, row) =>
        Array.from({ length: counts[row]! }, (_, index) => [
          first,
          vectors,
          counts[row]! * INVOCATIONS,
          index * INVOCATIONS,
        ]).flat(),
      ),
    ),
    rowTable: filled("rows of norms", rows),
    wholeTable: filled("all rows of norms", [0, ranges.length]),
    partials: make("partial norms", 2 * workgroups * INVOCATIONS),
    totals: make("norms", 2 * ranges.length),
    whole: make("whole norm", 4),
    tensorOf: filled("tensors of elements", isByTensor ? tensorTable(plan) : [0]),
  };
}

function workgroupsFor({ vectors }: Range): number {
  return Math.min(MOST_WORKGROUPS, Math.ceil(vectors / (INVOCATIONS * VECTORS_PER_INVOCATION)));
}

function tensorTable({ layout }: Plan): readonly number[] {
  return trainedTensors(layout).flatMap((tensor, index) => {
    const lines = alignUp(tensor.elements, TENSOR_ALIGNMENT_ELEMENTS) / TENSOR_ALIGNMENT_ELEMENTS;
    return Array.from({ length: lines }, () => (isAdapted(tensor) ? index : PLAIN));
  });
}

/** What the launches read and write, of the plan's memory. */
export interface UpdateBuffers {
  readonly plan: Plan;
  readonly settings: GPUBuffer;
  readonly vectors: Readonly<Record<"parameters" | "gradient" | "velocity", GPUBuffer>>;
  readonly update: UpdateMemory;
}

export function updateDispatches(memory: UpdateBuffers): Dispatch[] {
  const { plan, settings, update } = memory;
  const { optimizer, layout } = plan;
  const { parameters, gradient, velocity } = memory.vectors;
  // A binding that no flag turns on still needs a buffer.
  const whole = (optimizer.kind === "lars" ? update.norms?.whole : update.norms?.totals) ?? gradient;
  const over = (shader: string, buffers: readonly GPUBuffer[], constants: Constants): Dispatch => {
    const launch = overVectors("update", shader, layout.trainableElements, wholeBuffers(buffers));
    return { ...launch, constants: { ...launch.constants, ...constants, CLIP_NORM: optimizer.clipNorm ?? 0 } };
  };
  const norms = normDispatches(memory);
  switch (optimizer.kind) {
    case "momentum":
    case "nesterov": {
      const constants = { NESTEROV: Number(optimizer.kind === "nesterov") };
      return [...norms, over("update", [settings, whole, gradient, velocity, parameters], constants)];
    }
    case "lars": {
      const { totals, tensorOf } = required(update.norms, optimizer);
      const constants = { TRUST: optimizer.trust ?? OPTIMIZER_DEFAULTS.trust };
      const buffers = [settings, whole, totals, tensorOf, gradient, velocity, parameters];
      return [...norms, over("update_lars", buffers, constants)];
    }
    case "adamw": {
      const { beta2 = OPTIMIZER_DEFAULTS.beta2, epsilon = OPTIMIZER_DEFAULTS.epsilon } = optimizer;
      const second = required(update.secondMoment, optimizer);
      const constants = { BETA2: beta2, NEW_SHARE: 1 - beta2, EPSILON: epsilon };
      return [...norms, over("update_adamw", [settings, whole, gradient, velocity, second, parameters], constants)];
    }
    default:
      return optimizer.kind satisfies never;
  }
}

function normDispatches({ plan, vectors, update }: UpdateBuffers): Dispatch[] {
  const { norms } = update;
  if (!norms) return [];
  const { optimizer } = plan;
  const { workgroups, rows, workgroupTable, rowTable, wholeTable, partials, totals, whole } = norms;
  const isByTensor = optimizer.kind === "lars";
  const sums: Dispatch = {
    name: "norms",
    shader: "update_square_sums",
    constants: { PARAMETERS: Number(isByTensor), INVOCATIONS },
    bindings: wholeBuffers([vectors.parameters, vectors.gradient, workgroupTable, partials]),
    workgroups: [workgroups, 1, 1],
  };
  const total = (count: number, table: GPUBuffer, from: GPUBuffer, to: GPUBuffer): Dispatch =>
    elementwise("norms, totals", "update_square_totals", count, { ROWS: count }, wholeBuffers([table, from, to]));
  return [
    sums,
    total(rows, rowTable, partials, totals),
    ...(isByTensor && optimizer.clipNorm !== undefined ? [total(1, wholeTable, totals, whole)] : []),
  ];
}

function required<T>(value: T | undefined, { kind }: Optimizer): T {
  if (value === undefined) throw new Error(`invariant violation: no memory for ${kind}`);
  return value;
}

function wholeBuffers(buffers: readonly GPUBuffer[]): GPUBufferBinding[] {
  return buffers.map((buffer) => ({ buffer }));
}
