/** Which backend trains: the faster one of those that were measured, or the one that was asked for, and why in words. */

import type { BackendChoice, BackendMeasurement } from "../messages.ts";

export type AskedBackend = "auto" | "webgpu" | "wasm";

/** A sentence with the fix, where no backend is left. */
export interface NoBackend {
  readonly problem: string;
}

/** `advice` is what helps where nothing can train, as a sentence. */
export function chooseBackend(
  measured: readonly BackendMeasurement[],
  asked: AskedBackend,
  advice: string,
): BackendChoice | NoBackend {
  if (asked !== "auto") return chooseAsked(measured, asked);
  const working = measured.filter(canTrain).toSorted((a, b) => (b.samplesPerSecond ?? 0) - (a.samplesPerSecond ?? 0));
  const [best, second] = working;
  if (!best)
    return {
      problem: `Nothing here can train. ${measured.map(describe).join(" ")} ${advice}`,
    };
  const facts = measured.map(describe).join(" ");
  const why = second ? ` ${titleOf(best.backend)} is ${ratio(best, second)} here.` : "";
  return { backend: best.backend, device: best.device, reason: facts + why, measured };
}

function chooseAsked(measured: readonly BackendMeasurement[], asked: "webgpu" | "wasm"): BackendChoice | NoBackend {
  const found = measured.find((one) => one.backend === asked);
  if (!found || !canTrain(found)) {
    const note = found?.exam ?? found?.note ?? `${titleOf(asked)} could not be measured.`;
    const other = titleOf(asked === "webgpu" ? "wasm" : "webgpu");
    return {
      problem: `${titleOf(asked)} was asked for, but cannot train here. ${note} Or leave the choice open, or ask for ${other}.`,
    };
  }
  return {
    backend: asked,
    device: found.device,
    reason: `${describe(found)} ${titleOf(asked)} was asked for.`,
    measured,
  };
}

export function titleOf(backend: "webgpu" | "wasm"): string {
  return backend === "webgpu" ? "WebGPU" : "WASM";
}

function canTrain({ samplesPerSecond, exam }: BackendMeasurement): boolean {
  return samplesPerSecond !== undefined && exam === undefined;
}

/** "WASM SIMD: 820 samples/s." or what stood in the way. */
function describe({ backend, device, samplesPerSecond, note, exam }: BackendMeasurement): string {
  if (samplesPerSecond === undefined) return `${titleOf(backend)} was not measured: ${note ?? "it gave no reason."}`;
  const where = backend === "webgpu" ? `WebGPU on ${device}` : device;
  return `${where}: ${rounded(samplesPerSecond)} samples/s.${exam === undefined ? "" : ` ${exam}`}`;
}

function ratio(best: BackendMeasurement, second: BackendMeasurement): string {
  const times = (best.samplesPerSecond ?? 0) / (second.samplesPerSecond ?? 1);
  return times < 1.05 ? `no slower than ${titleOf(second.backend)}` : `${rounded(times)} times faster`;
}

/** Two digits are what a measurement of a second is worth. */
function rounded(value: number): string {
  return value >= 10 ? Number(value.toPrecision(3)).toLocaleString("en") : value.toPrecision(2);
}
