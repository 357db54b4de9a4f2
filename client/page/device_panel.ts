/** Which device computes, why this one, and what the backends reached when they were measured. */

import type { BackendChoice, BackendMeasurement, Tuning } from "../messages.ts";
import { adapterAdvice } from "./browser_advice.ts";
import { byId, make, setText } from "./dom.ts";
import { whole } from "./format.ts";

const NAMES: Record<BackendMeasurement["backend"], string> = {
  webgpu: "WebGPU",
  wasm: "WASM",
  hybrid: "Hybrid",
};

export class DevicePanel {
  readonly #panel = byId("device", HTMLElement);
  readonly #name = byId("device-name", HTMLElement);
  readonly #reason = byId("device-reason", HTMLElement);
  readonly #exam = byId("device-exam", HTMLElement);
  readonly #tuning = byId("device-tuning", HTMLElement);
  readonly #measured = byId("measured", HTMLElement);
  readonly #advice = byId("device-advice", HTMLElement);

  clear(): void {
    this.#panel.hidden = true;
  }

  tuning({ settled, kernels, outcome }: Tuning): void {
    this.#tuning.hidden = kernels === 0;
    setText(this.#tuning, outcome ?? `Measuring its kernels while it trains: ${settled} of ${kernels} settled.`);
  }

  show(choice: BackendChoice): void {
    this.#panel.hidden = false;
    // Another device has kernels of its own.
    this.#tuning.hidden = true;
    const name = NAMES[choice.backend];
    setText(this.#name, choice.device.includes(name) ? choice.device : `${choice.device} (${name})`);
    setText(this.#reason, choice.reason);
    this.#exam.hidden = choice.exam === undefined;
    setText(this.#exam, choice.exam ?? "");
    const fastest = Math.max(1, ...choice.measured.map((one) => one.samplesPerSecond ?? 0));
    this.#measured.replaceChildren(
      ...choice.measured.map((one) => entryOf(one, fastest, one.backend === choice.backend)),
    );
    const gpu = choice.measured.find((one) => one.backend === "webgpu");
    const noAdapter =
      gpu !== undefined && gpu.samplesPerSecond === undefined && window.isSecureContext && "gpu" in navigator;
    this.#advice.hidden = !noAdapter;
    setText(this.#advice, noAdapter ? adapterAdvice(navigator.userAgent) : "");
  }
}

function entryOf(one: BackendMeasurement, fastest: number, chosen: boolean): HTMLElement {
  const entry = make("li", chosen ? "chosen" : "");
  const speed = one.samplesPerSecond === undefined ? "not measured" : `${whole(one.samplesPerSecond)} images/s`;
  const bar = make("i", "bar");
  bar.style.setProperty("--part", String((one.samplesPerSecond ?? 0) / fastest));
  entry.append(
    make("span", "", NAMES[one.backend]),
    make("b", "", speed),
    bar,
    make("span", "small", one.exam ?? one.note ?? one.device),
  );
  return entry;
}
