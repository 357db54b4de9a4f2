/** Follows the machine and the clock, and tells anew what may be computed whenever that changes. The rules are handed in; nothing here touches the DOM's controls. */

import { watchBattery, watchPressure, canObservePressure, isHandheld, type Battery } from "./machine_sensors.ts";
import { CalmPressure } from "./power/calm_pressure.ts";
import { DataMeter } from "./power/data_meter.ts";
import { decide, type Decision, type PowerRules } from "./power/rules.ts";
import { Rate } from "./rate.ts";
import { readStored, store } from "./stored.ts";

const TICK_MS = 1000;
/** Storage is written seldom: a crash forgets this much of the day at most. */
const STORED_EVERY_BYTES = 2e6;
const DAY_MS = 86_400_000;
/** Images come in shards, seldom and many at once. */
const PACE_SECONDS = 120;

/** What this browser tells; the controls of everything else are closed. */
export interface Senses {
  readonly battery: Battery | undefined;
  readonly pressure: boolean;
  /** It has a battery, as far as can be told. */
  readonly isPortable: boolean;
}

/** Up and down. */
export interface Usage {
  readonly visitBytes: number;
  readonly dayBytes: number;
  /** Of late; undefined before it is known. */
  readonly bytesPerSecond: number | undefined;
}

export class PowerWatch {
  readonly #pressure = new CalmPressure();
  readonly #meter: DataMeter;
  readonly #changed: (decision: Decision) => void;
  #rules: PowerRules;
  #battery: Battery | undefined;
  readonly #pace = new Rate(PACE_SECONDS);
  #bytesPerSecond: number | undefined;
  #storedBytes = 0;
  #last = "";

  constructor(rules: PowerRules, changed: (decision: Decision) => void) {
    this.#rules = rules;
    this.#changed = changed;
    const day = dayNumber();
    const { usage } = readStored();
    this.#meter = new DataMeter(String(day), usage?.day === day ? usage.bytes : 0);
    this.#storedBytes = this.#meter.dayBytes;
    setInterval(() => {
      this.#bytesPerSecond = this.#pace.add(performance.now() / 1000, this.#meter.visitBytes);
      this.#settle();
    }, TICK_MS);
    window.addEventListener("pagehide", () => this.#keepUsage());
  }

  /** Asks the browser once; resolves with what it tells. */
  async feel(): Promise<Senses> {
    this.#battery = await watchBattery((battery) => {
      this.#battery = battery;
      this.#settle();
    });
    const pressure =
      canObservePressure() &&
      (await watchPressure((state) => {
        this.#pressure.report(state, performance.now());
        this.#settle();
      }));
    this.#settle();
    return { battery: this.#battery, pressure, isPortable: this.#battery?.isPortable === true || isHandheld() };
  }

  get decision(): Decision {
    const now = new Date();
    return decide(this.#rules, {
      isOnBattery: this.#battery?.isOnBattery === true,
      pressure: this.#pressure.at(performance.now()),
      minuteOfDay: now.getHours() * 60 + now.getMinutes(),
      usedBytes: this.#meter.dayBytes,
    });
  }

  get usage(): Usage {
    const { visitBytes, dayBytes } = this.#meter;
    return { visitBytes, dayBytes, bytesPerSecond: this.#bytesPerSecond };
  }

  get rules(): PowerRules {
    return this.#rules;
  }

  setRules(rules: PowerRules): void {
    this.#rules = rules;
    this.#settle();
  }

  /** Bytes of a source of its own, in all. */
  used(source: string, totalBytes: number): void {
    this.#meter.take(source, totalBytes, String(dayNumber()));
    if (this.#meter.dayBytes - this.#storedBytes >= STORED_EVERY_BYTES) this.#keepUsage();
    // Timers of hidden tabs may come once a minute only; what is used comes when it is.
    this.#settle();
  }

  #keepUsage(): void {
    if (this.#meter.visitBytes === 0) return;
    this.#storedBytes = this.#meter.dayBytes;
    store({ usage: { day: dayNumber(), bytes: this.#meter.dayBytes } });
  }

  #settle(): void {
    const { decision } = this;
    const said = JSON.stringify(decision);
    if (said === this.#last) return;
    this.#last = said;
    this.#changed(decision);
  }
}

/** Local days since 1970. */
function dayNumber(): number {
  const now = new Date();
  return Math.floor((now.getTime() - now.getTimezoneOffset() * 60_000) / DAY_MS);
}
