/**
 * The device that a replica trains on: hears when it is lost or breaks, and has another one take its place. Acts only where the
 * training loop asks it to, between two steps.
 */

import type { Clock } from "./clock.ts";
import type { Device } from "./local_training.ts";
import type { Waiting } from "./waiting.ts";

export interface DeviceKeeperOptions {
  readonly clock: Clock;
  readonly waiting: Waiting;
  readonly current: () => Device;
  readonly hasEnded: () => boolean;
  /** Another device for a lost one, or a rejection that says why there is none. */
  readonly replace: (whatHappened: string) => Promise<Device>;
  readonly onReplaced: (device: Device) => void;
}

/** A device that fails says that it was lost within this time, if it was. */
const LOSS_REPORT_MS = 1000;

export class DeviceKeeper {
  readonly #options: DeviceKeeperOptions;
  #loss: string | undefined;
  #failure: unknown;

  constructor(options: DeviceKeeperOptions) {
    this.#options = options;
    this.#watch(options.current());
  }

  get isBroken(): boolean {
    return this.isLost || this.#failure !== undefined;
  }

  get isLost(): boolean {
    return this.#loss !== undefined;
  }

  /** It threw: because it is lost, or because something is wrong here. */
  failed(error: unknown): void {
    this.#failure ??= error;
  }

  /** Rejects where there is no other device, and with what the device threw where it was not lost. */
  async replace(): Promise<void> {
    const { clock, hasEnded, replace, waiting } = this.#options;
    const failure = this.#failure;
    // An error without a lost device is a fault of ours, which another device would not heal.
    if (this.#loss === undefined) await waiting.until(clock.sleep(LOSS_REPORT_MS));
    if (hasEnded()) return;
    if (this.#loss === undefined) throw failure;
    await waiting.until(replace(this.#loss).then((device) => this.#use(device)));
  }

  #use(device: Device): void {
    this.#loss = undefined;
    this.#failure = undefined;
    this.#options.onReplaced(device);
    this.#watch(device);
  }

  #watch(device: Device): void {
    void device.lost.then((sentence) => this.#lost(device, sentence));
  }

  #lost(device: Device, sentence: string): void {
    if (this.#options.current() !== device) return;
    this.#loss = sentence;
    this.#options.waiting.interrupt();
  }
}
