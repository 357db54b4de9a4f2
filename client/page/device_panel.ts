/** Which device computes, why this one, how fast, whether it passed the exam, and how far the tuning of its kernels is. */

import type { BackendChoice, BackendMeasurement, Tuning } from "../messages.ts";
import { adapterAdvice } from "./browser_advice.ts";
import { byId, make, setText } from "./dom.ts";
import { decimal, whole } from "./format.ts";

const NAMES: Record<BackendMeasurement["backend"], string> = {
  webgpu: "WebGPU",
  wasm: "WASM",
  hybrid: "Hybrid",
};

export class DevicePanel {
  readonly #panel = byId("device", HTMLElement);
  readonly #name = byId("device-name", HTMLElement);
  readonly #reason = byId("device-reason", HTMLElement);
  readonly #gflopsRow = byId("device-gflops-row", HTMLElement);
  readonly #gflops = byId("device-gflops", HTMLElement);
  readonly #examRow = byId("device-exam-row", HTMLElement);
  readonly #exam = byId("device-exam", HTMLElement);
  readonly #tuningBox = byId("device-tuning-box", HTMLElement);
  readonly #tuningBar = byId("device-tuning-bar", HTMLProgressElement);
  readonly #tuning = byId("device-tuning", HTMLElement);
  readonly #measured = byId("measured", HTMLElement);
  readonly #advice = byId("device-advice", HTMLElement);

  clear(): void {
    this.#panel.hidden = true;
  }

  tuning({ settled, kernels, outcome }: Tuning): void {
    this.#tuningBox.hidden = kernels === 0;
    this.#tuningBar.hidden = outcome !== undefined;
    this.#tuningBar.max = Math.max(1, kernels);
    this.#tuningBar.value = settled;
    setText(this.#tuning, outcome ?? `Measuring its kernels while it trains: ${settled} of ${kernels} settled.`);
  }

  show(choice: BackendChoice): void {
    this.#panel.hidden = false;
    // Another device has kernels of its own.
    this.#tuningBox.hidden = true;
    const name = NAMES[choice.backend];
    setText(this.#name, choice.device.includes(name) ? choice.device : `${choice.device} (${name})`);
    setText(this.#reason, choice.reason);
    this.#gflopsRow.hidden = choice.gflops === undefined;
    setText(this.#gflops, `${decimal(choice.gflops, (choice.gflops ?? 0) < 10 ? 1 : 0)} GFLOP/s`);
    this.#examRow.hidden = choice.exam === undefined;
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
