/**
 * What the browser tells of this machine: whether it runs on its battery, and how busy its processors are. Few browsers tell
 * both; what is not told is absent here, and whoever asks leaves the control out.
 */

import type { Pressure } from "./power/rules.ts";

/** Of the Battery Status API, which the DOM types leave out. */
interface BatteryManager extends EventTarget {
  readonly charging: boolean;
  readonly level: number;
  readonly chargingTime: number;
}

/** Of the Compute Pressure API, likewise. */
interface PressureObserverType {
  readonly knownSources?: readonly string[];
  new (report: (records: readonly { readonly state: Pressure }[]) => void): {
    observe(source: "cpu", options: { readonly sampleInterval: number }): Promise<void>;
  };
}

const PRESSURE_INTERVAL_MS = 1000;

export interface Battery {
  readonly isOnBattery: boolean;
  /** A machine that is plugged in and full looks like one without a battery. */
  readonly isPortable: boolean;
}

/** Undefined where the browser does not tell; `changed` is called from then on. */
export async function watchBattery(changed: (battery: Battery) => void): Promise<Battery | undefined> {
  const source = navigator as { getBattery?: () => Promise<BatteryManager> };
  if (source.getBattery === undefined) return undefined;
  try {
    const battery = await source.getBattery();
    const read = (): Battery => ({
      isOnBattery: !battery.charging,
      isPortable: !battery.charging || battery.level < 1 || battery.chargingTime !== 0,
    });
    for (const event of ["chargingchange", "levelchange"]) {
      battery.addEventListener(event, () => changed(read()));
    }
    return read();
  } catch {
    return undefined;
  }
}

export function canObservePressure(): boolean {
  const type = pressureObserver();
  return type !== undefined && (type.knownSources === undefined || type.knownSources.includes("cpu"));
}

/** False where it is refused after all. */
export async function watchPressure(changed: (pressure: Pressure) => void): Promise<boolean> {
  const type = pressureObserver();
  if (type === undefined) return false;
  try {
    const observer = new type((records) => {
      const newest = records.at(-1);
      if (newest !== undefined) changed(newest.state);
    });
    await observer.observe("cpu", { sampleInterval: PRESSURE_INTERVAL_MS });
    return true;
  } catch {
    return false;
  }
}

function pressureObserver(): PressureObserverType | undefined {
  return (globalThis as { PressureObserver?: PressureObserverType }).PressureObserver;
}

/** A phone or tablet: it has a battery, whether it tells or not. */
export function isHandheld(): boolean {
  return window.matchMedia("(pointer: coarse) and (hover: none)").matches;
}
