/**
 * Watches a device for what WebGPU reports out of band: its loss, and errors that no call returned. Both become sentences;
 * an error is thrown by the next call that asks.
 */

import { QueueTurn } from "./queue_turn.ts";

/** An error that the device reported after the call that caused it had returned. */
export class GpuError extends Error {
  override readonly name = "GpuError";
}

export class DeviceWatch {
  readonly device: GPUDevice;
  readonly turn = new QueueTurn();
  /** Resolves when the device is lost, but not when we closed it. */
  readonly lost: Promise<string>;
  #failure: GpuError | undefined;
  #closed = false;
  readonly #onError = (event: GPUUncapturedErrorEvent): void => {
    this.#failure ??= new GpuError(`The GPU reported an error: ${event.error.message}`);
  };

  constructor(device: GPUDevice) {
    this.device = device;
    device.addEventListener("uncapturederror", this.#onError);
    this.lost = new Promise((resolve) => {
      void this.#awaitLoss(resolve);
    });
  }

  /** Throws what the device reported since the last check. A lost device throws every time. */
  check(): void {
    if (this.#closed) throw new GpuError("The WebGPU backend is closed.");
    if (this.#failure) throw this.#failure;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.device.removeEventListener("uncapturederror", this.#onError);
    this.device.destroy();
  }

  async #awaitLoss(report: (sentence: string) => void): Promise<void> {
    const { message, reason } = await this.device.lost;
    if (this.#closed) return;
    const sentence = `The GPU device was lost: ${message === "" ? reason : message}`;
    this.#failure = new GpuError(sentence);
    report(sentence);
  }
}
