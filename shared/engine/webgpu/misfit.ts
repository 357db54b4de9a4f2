/** What of a plan is too much for a device: a buffer beyond its limits, or a launch that would take too long. */

import type { Misfit } from "../fit.ts";
import type { Plan } from "../plan.ts";
import type { ScratchElements } from "./algorithms/operands.ts";
import type { DeviceTraits } from "./choice/candidate.ts";
import { flopsOf } from "./choice/shape.ts";
import { imageWords, refusal, slotName, type Limits } from "./buffer_sizes.ts";
import { isWeighted, productOf } from "./products.ts";

/**
 * Multiplications and additions that a device does in 0.5 s, the most that one launch may take: a page that stops must not
 * wait longer, and drivers reset a GPU after about 2 s. In software the slowest product of CIFAR-quick and ResNet-20 ran at
 * 2 to 3 GFLOP/s (SwiftShader, 2-core Xeon 2.5 GHz with neighbours, 2026-11-21); for hardware a guess at the slowest
 * integrated GPU, not measured.
 */
const LAUNCH_FLOPS = { software: 1.25e9, hardware: 5e10 } as const;

export function misfitOf(
  plan: Plan,
  scratch: ScratchElements,
  limits: Limits,
  traits: DeviceTraits,
): Misfit | undefined {
  return tooLarge(plan, scratch, limits) ?? tooLong(plan, traits);
}

function tooLarge(plan: Plan, scratch: ScratchElements, limits: Limits): Misfit | undefined {
  const buffers: (readonly [name: string, elements: number])[] = [
    ["parameters", plan.layout.elements],
    ["data set", plan.datasetExamples * imageWords(plan)],
    ["scratch", scratch.lowered],
    ["scratch of products", scratch.products],
    ...plan.slotElements.map((elements, slot) => [slotName(plan, slot), elements] as const),
  ];
  for (const [name, elements] of buffers) {
    const reason = refusal(plan, name, elements, limits);
    if (reason) return { reason, isRefused: true };
  }
  return undefined;
}

function tooLong(plan: Plan, { isFallback }: DeviceTraits): Misfit | undefined {
  const most = isFallback ? LAUNCH_FLOPS.software : LAUNCH_FLOPS.hardware;
  for (const operation of [...plan.forward, ...plan.backward]) {
    const flops = isWeighted(operation) ? flopsOf(productOf(operation)) : 0;
    if (flops > most) {
      const reason = `"${operation.kind}" of layer "${"name" in operation ? operation.name : ""}" multiplies for more than half a second on this device.`;
      return { reason, isRefused: false };
    }
  }
  return undefined;
}
