/** "Your machine": the rules of power as controls. What this browser does not tell is closed, with a sentence on why. */

import { isLocalNetwork } from "./addresses.ts";
import { byId, setText } from "./dom.ts";
import { bytes, duration, percent } from "./format.ts";
import { minuteOfTime, type Decision, type PowerRules } from "./power/rules.ts";
import type { Senses, Usage } from "./power_watch.ts";
import { ScreenWake } from "./screen_wake.ts";

const BYTES_OF_MB = 1e6;
const PORTABLE_DUTY_CYCLE = 0.5;

export class PowerPanel {
  readonly #power = byId("power", HTMLInputElement);
  readonly #powerValue = byId("power-value", HTMLElement);
  readonly #powerWhy = byId("power-why", HTMLElement);
  readonly #battery = byId("battery-rule", HTMLInputElement);
  readonly #pressure = byId("pressure-rule", HTMLInputElement);
  readonly #hours = byId("hours-rule", HTMLInputElement);
  readonly #hoursFrom = byId("hours-from", HTMLInputElement);
  readonly #hoursTo = byId("hours-to", HTMLInputElement);
  readonly #capRule = byId("cap-rule", HTMLInputElement);
  readonly #cap = byId("cap", HTMLInputElement);
  readonly #capMeter = byId("cap-meter", HTMLProgressElement);
  readonly #capWhy = byId("cap-why", HTMLElement);
  readonly #wakeRule = byId("wake-rule", HTMLInputElement);
  readonly #wakeWhy = byId("wake-why", HTMLElement);
  readonly #wake = new ScreenWake((isAwake) => this.#showWake(isAwake));
  readonly #changed: (rules: PowerRules) => void;
  /** What the volunteer has set is not overwritten by what the machine turns out to be. */
  readonly #touched = new Set<Element>();
  #isPortable = false;
  readonly #isLocal = isLocalNetwork(location.hostname);

  constructor(changed: (rules: PowerRules) => void) {
    this.#changed = changed;
    const controls = [
      this.#power,
      this.#battery,
      this.#pressure,
      this.#hours,
      this.#hoursFrom,
      this.#hoursTo,
      this.#capRule,
      this.#cap,
    ];
    for (const control of controls) {
      control.addEventListener("input", () => {
        this.#touched.add(control);
        // Whoever sets a value means it to hold.
        if (control === this.#hoursFrom || control === this.#hoursTo) this.#hours.checked = true;
        if (control === this.#cap) this.#capRule.checked = true;
        this.#apply();
      });
    }
    this.#wakeRule.addEventListener("input", () => {
      this.#wake.want(this.#wakeRule.checked);
      this.#showWake(false);
    });
    close(this.#battery, "battery-why", "Asking the browser…");
    close(this.#pressure, "pressure-why", "Asking the browser…");
    if (!ScreenWake.isPossible) {
      close(
        this.#wakeRule,
        "wake-why",
        window.isSecureContext
          ? "This browser cannot keep the screen on; change the system's display settings instead."
          : "Browsers keep the screen on for pages from https:// only.",
      );
    } else this.#showWake(false);
  }

  /** Tells the rules for the first time; with the share of the time that a link asks for, unless that is undefined. */
  begin(dutyCycle: number | undefined): void {
    if (dutyCycle !== undefined) {
      this.#power.valueAsNumber = Math.round(dutyCycle * 100);
      this.#touched.add(this.#power);
    }
    // What stays in the house costs nobody's line.
    if (this.#isLocal) this.#capRule.checked = false;
    this.#apply();
  }

  /** As the controls say. A headless volunteer has no rules but its share of the time. */
  get rules(): PowerRules {
    const fromMinute = minuteOfTime(this.#hoursFrom.value);
    const toMinute = minuteOfTime(this.#hoursTo.value);
    const cap = this.#cap.valueAsNumber;
    return {
      dutyCycle: this.#power.valueAsNumber / 100,
      pausesOnBattery: this.#battery.checked && !this.#battery.disabled,
      easesUnderPressure: this.#pressure.checked && !this.#pressure.disabled,
      hours:
        this.#hours.checked && fromMinute !== undefined && toMinute !== undefined
          ? { fromMinute, toMinute }
          : undefined,
      capBytes: this.#capRule.checked && cap >= 1 ? cap * BYTES_OF_MB : undefined,
    };
  }

  /** Opens what the browser tells, with defaults that are kind to a device with a battery. */
  sense({ battery, pressure, isPortable }: Senses): void {
    this.#isPortable = isPortable;
    if (battery !== undefined) {
      open(this.#battery, "battery-why", "It goes on when the device is plugged in again.");
      this.#default(this.#battery, true);
    } else {
      close(this.#battery, "battery-why", "This browser does not tell whether it runs on battery; Chrome and Edge do.");
    }
    if (pressure) {
      open(
        this.#pressure,
        "pressure-why",
        "Half power when its processors are under load, a pause when they are at their limit.",
      );
      this.#default(this.#pressure, isPortable);
    } else {
      close(
        this.#pressure,
        "pressure-why",
        window.isSecureContext
          ? "This browser does not tell how busy the machine is; Chrome and Edge do."
          : "Browsers tell how busy the machine is to pages from https:// only.",
      );
    }
    if (isPortable && !this.#touched.has(this.#power)) this.#power.valueAsNumber = PORTABLE_DUTY_CYCLE * 100;
    this.#apply();
  }

  /** What follows from the rules now, and the meter of the day's data. */
  show(decision: Decision, usage: Usage, isRunning: boolean): void {
    const { capBytes, dutyCycle } = this.rules;
    const kind =
      this.#isPortable && !this.#touched.has(this.#power) ? " This device has a battery, so it begins at half." : "";
    setText(
      this.#powerWhy,
      decision.isEased
        ? `Now ${percent(decision.dutyCycle, 0)}: this machine is busy.`
        : `${dutyCycle === 1 ? "Computes all the time." : `Computes ${percent(dutyCycle, 0)} of the time and rests in between: quieter, cooler, slower.`}${kind}`,
    );
    this.#showCap(capBytes, usage, isRunning);
  }

  #showCap(capBytes: number | undefined, { visitBytes, dayBytes, bytesPerSecond }: Usage, isRunning: boolean): void {
    this.#capMeter.hidden = capBytes === undefined;
    this.#capMeter.max = capBytes ?? 1;
    this.#capMeter.value = Math.min(dayBytes, capBytes ?? 1);
    const used = `${bytes(visitBytes)} in this visit, ${bytes(dayBytes)} today, up and down.`;
    if (capBytes === undefined) {
      const why = this.#isLocal && !this.#touched.has(this.#capRule) ? " It stays in your own network." : "";
      return setText(this.#capWhy, `${used}${why}`);
    }
    const isMoving = isRunning && bytesPerSecond !== undefined && bytesPerSecond > 0;
    const lasts = isMoving
      ? `At this pace the cap is reached in ${duration(Math.max(0, capBytes - dayBytes) / bytesPerSecond)}; then`
      : "At the cap";
    setText(this.#capWhy, `${used} ${lasts} it completes its exchange and stops.`);
  }

  running(isRunning: boolean): void {
    this.#wake.running(isRunning);
    this.#showWake(false);
  }

  #default(box: HTMLInputElement, isOn: boolean): void {
    if (!this.#touched.has(box)) box.checked = isOn;
  }

  #apply(): void {
    const power = `${this.#power.value} %`;
    setText(this.#powerValue, power);
    this.#power.setAttribute("aria-valuetext", `${power} of the time`);
    const cap = this.#cap.valueAsNumber;
    this.#cap.setAttribute("aria-invalid", String(!(cap >= 1)));
    this.#changed(this.rules);
  }

  #showWake(isAwake: boolean): void {
    if (this.#wakeRule.disabled) return;
    setText(
      this.#wakeWhy,
      isAwake && this.#wakeRule.checked
        ? "The screen stays on now, as long as this tab is in front."
        : "While it trains and this tab is in front.",
    );
  }
}

function close(box: HTMLInputElement, why: string, sentence: string): void {
  box.disabled = true;
  box.checked = false;
  setText(byId(why, HTMLElement), sentence);
}

function open(box: HTMLInputElement, why: string, sentence: string): void {
  box.disabled = false;
  setText(byId(why, HTMLElement), sentence);
}
