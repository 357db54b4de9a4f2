/** A Web Worker's time. Browsers slow down a hidden page's timers, but not those of its dedicated workers. */

import type { Clock } from "../replica/clock.ts";

/** A browser moves a message through a pipe of about 64 KiB. */
const TRANSFER_MS = 4;

export function createWorkerClock(): Clock {
  const channel = new MessageChannel();
  const breathing: (() => void)[] = [];
  // A message to oneself comes after what already waits in the event loop, without the 4 ms that timers are held back.
  channel.port1.addEventListener("message", () => breathing.shift()?.());
  channel.port1.start();
  return {
    transferMs: TRANSFER_MS,
    nowMs: () => performance.now(),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    breathe: () =>
      new Promise((resolve) => {
        breathing.push(resolve);
        channel.port2.postMessage(undefined);
      }),
  };
}
