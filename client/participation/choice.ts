/** Which backend trains: the fastest of those that were measured, or the one that was asked for, and why in words. */

import type { BackendName, BackendWish } from "../../shared/backends.ts";
import type { BackendChoice, BackendMeasurement } from "../messages.ts";

import { LEAST_SPEEDUP } from "./hybrid.ts";

/** A sentence with the fix, where no backend is left. */
export interface NoBackend {
  readonly problem: string;
}

/** `advice` is what helps where nothing can train, as a sentence. */
export function chooseBackend(
  measured: readonly BackendMeasurement[],
  asked: BackendWish,
  advice: string,
): BackendChoice | NoBackend {
  if (asked !== "auto") return chooseAsked(measured, asked);
  const working = measured.filter(canTrain).toSorted((a, b) => worthOf(b) - worthOf(a));
  const [best, second] = working;
  if (!best) {
    const alone = measured.filter(({ backend }) => backend !== "hybrid");
    return { problem: `Nothing here can train. ${alone.map(describe).join(" ")} ${advice}` };
  }
  const facts = measured.map(describe).join(" ");
  const why = second ? ` ${whyBest(best, second, working.length > 2)}` : "";
  return { backend: best.backend, device: best.device, reason: facts + why, measured };
}

function chooseAsked(measured: readonly BackendMeasurement[], asked: BackendName): BackendChoice | NoBackend {
  const found = measured.find((one) => one.backend === asked);
  if (!found || !canTrain(found)) {
    const note = found?.exam ?? found?.note ?? `${titleOf(asked)} could not be measured.`;
    const other = titleOf(asked === "wasm" ? "webgpu" : "wasm");
    return {
      problem: `${titleOf(asked)} was asked for, but cannot train here. ${note} Or leave the choice open, or ask for ${other}.`,
    };
  }
  return {
    backend: asked,
    device: found.device,
    reason: `${measured.map(describe).join(" ")} ${titleOf(asked)} was asked for.`,
    measured,
  };
}

const TITLES: Readonly<Record<BackendName, string>> = { webgpu: "WebGPU", wasm: "WASM", hybrid: "Hybrid" };

export function titleOf(backend: BackendName): string {
  return TITLES[backend];
}

/** Samples a second; of a hybrid, which keeps both devices busy, only what is a gain. */
function worthOf({ backend, samplesPerSecond = 0 }: BackendMeasurement): number {
  return backend === "hybrid" ? samplesPerSecond / LEAST_SPEEDUP : samplesPerSecond;
}

function canTrain({ samplesPerSecond, exam }: BackendMeasurement): boolean {
  return samplesPerSecond !== undefined && exam === undefined;
}

/** "WASM SIMD: 820 samples/s." or what stood in the way. */
function describe({ backend, device, samplesPerSecond, note, exam }: BackendMeasurement): string {
  if (samplesPerSecond === undefined) return `${titleOf(backend)} was not measured: ${note ?? "it gave no reason."}`;
  const where = backend === "wasm" ? device : `${titleOf(backend)} on ${device}`;
  return `${where}: ${rounded(samplesPerSecond)} samples/s.${exam === undefined ? "" : ` ${exam}`}`;
}

/** `hasOthers`: more than these two were measured. */
function whyBest(best: BackendMeasurement, second: BackendMeasurement, hasOthers: boolean): string {
  const times = (best.samplesPerSecond ?? 0) / (second.samplesPerSecond ?? 1);
  const title = titleOf(best.backend);
  if (times < 1)
    return `${title} alone is taken: both together are no more than ${(1 / times).toFixed(2)} times faster here.`;
  if (times < 1.05) return `${title} is no slower than ${titleOf(second.backend)} here.`;
  return `${title} is ${rounded(times)} times faster ${hasOthers ? `than ${titleOf(second.backend)} ` : ""}here.`;
}

/** Two digits are what a measurement of a second is worth. */
function rounded(value: number): string {
  return value >= 10 ? Number(value.toPrecision(3)).toLocaleString("en") : value.toPrecision(2);
}
