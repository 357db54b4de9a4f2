/**
 * A volunteer's GPU and CPU as one device (shared/engine/hybrid/): whether they are worth trying together, how they are opened,
 * and when they are worth having.
 */

import { bestDivision, type Speeds } from "../../shared/engine/hybrid/balance.ts";
import { createHybridBackend, whyUnshared } from "../../shared/engine/hybrid/hybrid_backend.ts";
import type { Backend } from "../../shared/engine/backend.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import type { GradientSource, StepOwner } from "../../shared/engine/shares.ts";
import type { BackendMeasurement } from "../messages.ts";
import type { Clock } from "../replica/clock.ts";
import type { OpenedBackend } from "./surroundings.ts";

/** Both devices at work need more power than one: less than this is no gain, nor surely more than a measurement's error. */
export const LEAST_SPEEDUP = 1.05;

/** Of both alone, in samples a second; undefined where one of them cannot train. */
export function speedsOf(measured: readonly BackendMeasurement[]): Speeds | undefined {
  const speedOf = (name: "webgpu" | "wasm"): number | undefined =>
    measured.find(({ backend }) => backend === name)?.samplesPerSecond;
  const [gpu, cpu] = [speedOf("webgpu"), speedOf("wasm")];
  return gpu === undefined || cpu === undefined ? undefined : [gpu, cpu];
}

/** Why both together cannot, or would not, be faster than the better one alone: a sentence. */
export function whyAlone(plan: Plan, gpu: Pick<Backend, "isFallback">, speeds: Speeds): string | undefined {
  const unshared = whyUnshared(plan);
  if (unshared) return unshared.reason;
  if (gpu.isFallback) return "WebGPU is software here, on the very processor that WASM computes on.";
  const speedup = bestDivision(plan.batch, speeds)?.speedup ?? 0;
  if (speedup >= LEAST_SPEEDUP) return undefined;
  return `At these speeds WebGPU and WASM together would be ${speedup.toFixed(2)} times as fast as the better one alone.`;
}

/** Opens both; each is the hybrid's own. */
export async function openHybrid(
  openOwner: () => Promise<OpenedBackend<StepOwner>>,
  openHelper: () => Promise<OpenedBackend<GradientSource>>,
  clock: Clock,
  speeds: Speeds | undefined,
): Promise<OpenedBackend> {
  const owner = await openOwner();
  if ("note" in owner) return owner;
  const helper = await openHelper();
  if (!("note" in helper)) return createHybridBackend({ owner, helper, clock, ...(speeds ? { speeds } : {}) });
  owner.close();
  return helper;
}
