/**
 * The kernel calls that end a step, after the backward pass: norms where the plan's optimizer needs them, then the update of
 * the trainable part. They are the same at every step; what changes lies at `map.settings` (`settingsWords`).
 */

import { hasSecondMoment, isAdapted, OPTIMIZER_DEFAULTS, trainedTensors, UPDATE_WORDS } from "../optimizer.ts";
import type { Plan } from "../plan.ts";
import { call } from "./calls.ts";
import type { Invocation } from "./kernels.ts";
import type { MemoryMap } from "./memory_map.ts";

const WORD_BYTES = 4;
const DOUBLE_BYTES = 8;
/** |x|^2 and |g|^2 of a tensor. */
const PAIR_BYTES = 2 * DOUBLE_BYTES;

/** Room that the plan's optimizer needs besides the vectors that every plan has. */
export interface UpdateNeeds {
  /** The step's numbers, and the factor on the gradient, f32. */
  readonly settingsBytes: number;
  readonly squareSumsBytes: number;
  readonly secondMomentBytes: number;
}

export function updateNeedsOf({ optimizer, layout }: Plan): UpdateNeeds {
  const norms = optimizer.kind === "lars" ? trainedTensors(layout).length : Number(optimizer.clipNorm !== undefined);
  return {
    settingsBytes: (UPDATE_WORDS + 1) * WORD_BYTES,
    squareSumsBytes: norms * PAIR_BYTES,
    secondMomentBytes: hasSecondMoment(optimizer) ? layout.elements * WORD_BYTES : 0,
  };
}

export function updateInvocations(map: MemoryMap): readonly Invocation[] {
  const { parameters, velocity, gradient, secondMoment, settings } = map;
  const { optimizer, layout } = map.plan;
  const elements = layout.trainableElements;
  switch (optimizer.kind) {
    case "momentum":
      return [...clip(map), call("momentumUpdate", parameters, velocity, gradient, elements, settings)];
    case "nesterov":
      return [...clip(map), call("nesterovUpdate", parameters, velocity, gradient, elements, settings)];
    case "lars":
      return lars(map);
    case "adamw": {
      const { beta2 = OPTIMIZER_DEFAULTS.beta2, epsilon = OPTIMIZER_DEFAULTS.epsilon } = optimizer;
      const vectors = [parameters, velocity, secondMoment, gradient];
      return [...clip(map), call("adamwUpdate", ...vectors, elements, settings, beta2, 1 - beta2, epsilon)];
    }
    default:
      return optimizer.kind satisfies never;
  }
}

function clip(map: MemoryMap): Invocation[] {
  const { optimizer, layout } = map.plan;
  if (optimizer.clipNorm === undefined) return [];
  return [
    call("squareSum", map.gradient, layout.trainableElements, map.squareSums),
    call("clipScale", map.squareSums, PAIR_BYTES, 1, optimizer.clipNorm, map.settings),
  ];
}

function lars(map: MemoryMap): Invocation[] {
  const { clipNorm, trust = OPTIMIZER_DEFAULTS.trust } = map.plan.optimizer;
  const tensors = trainedTensors(map.plan.layout).map((tensor, index) => ({
    elements: tensor.elements,
    isAdapted: isAdapted(tensor),
    bytes: tensor.offset * WORD_BYTES,
    sums: map.squareSums + index * PAIR_BYTES,
  }));
  return [
    ...tensors.flatMap(({ elements, bytes, sums, isAdapted: adapted }) => [
      ...(adapted ? [call("squareSum", map.parameters + bytes, elements, sums)] : []),
      ...(adapted || clipNorm !== undefined
        ? [call("squareSum", map.gradient + bytes, elements, sums + DOUBLE_BYTES)]
        : []),
    ]),
    ...(clipNorm === undefined
      ? []
      : [call("clipScale", map.squareSums + DOUBLE_BYTES, PAIR_BYTES, tensors.length, clipNorm, map.settings)]),
    ...tensors.map(({ elements, bytes, sums, isAdapted: adapted }) => {
      const vectors = [map.parameters + bytes, map.velocity + bytes, map.gradient + bytes];
      return call("larsUpdate", ...vectors, elements, map.settings, adapted ? sums : 0, trust);
    }),
  ];
}
