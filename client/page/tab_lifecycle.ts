/** What browsers do with tabs: they hide them, put them to sleep, and leave them; each told to whoever trains, and in words to the volunteer. */

import { byId, setText } from "./dom.ts";
import { decimal, duration } from "./format.ts";

/** A sleep that nobody would notice is not told. */
const TOLD_SLEEP_SECONDS = 5;
/** Timers of hidden tabs come once a minute at worst: without one for longer, the whole machine slept. */
const MACHINE_SLEEP_SECONDS = 150;
const PULSE_MS = 10_000;

export interface TabListener {
  visibility(): void;
  /** For good, or to come back by the browser's Back. */
  left(): void;
  slept(seconds: number): void;
}

export function watchTab(listener: TabListener): void {
  let asleepSinceMs: number | undefined;
  document.addEventListener("visibilitychange", () => listener.visibility());
  window.addEventListener("pagehide", () => listener.left());
  let pulseMs = Date.now();
  document.addEventListener("freeze", () => {
    asleepSinceMs = Date.now();
  });
  document.addEventListener("resume", () => {
    pulseMs = Date.now();
    const seconds = asleepSinceMs === undefined ? 0 : (pulseMs - asleepSinceMs) / 1000;
    asleepSinceMs = undefined;
    if (seconds >= TOLD_SLEEP_SECONDS) listener.slept(seconds);
  });
  setInterval(() => {
    const nowMs = Date.now();
    const seconds = (nowMs - pulseMs) / 1000;
    pulseMs = nowMs;
    if (seconds >= MACHINE_SLEEP_SECONDS && asleepSinceMs === undefined) listener.slept(seconds);
  }, PULSE_MS);
}

export function wordsOfSleep(seconds: number): string {
  return `This tab slept for ${duration(seconds)}, because the browser or the machine saved energy; training goes on now. To avoid that, keep the tab in a window of its own, and except this address from the browser's energy saver.`;
}

/** `periodFactor` is by how much its exchanges are further apart than asked for, 1 or more. */
export function showCourtesy(periodFactor: number): void {
  setText(
    byId("courtesy", HTMLElement),
    periodFactor > 1
      ? `This tab is hidden: training goes on, with exchanges ${decimal(periodFactor, 0)} times further apart, until you stop it or close the tab.`
      : "You may switch to another tab or window: training goes on, with exchanges further apart while this tab is hidden, until you press Stop or close it.",
  );
}
