/**
 * How fast this replica may send: a token bucket a little smaller than the one that the coordinator refuses `TOO_FAST`
 * with (SPEC L2), so that a fast device with a short communication period trains on instead of being sent away.
 */

import { LIMITS } from "../../shared/wire/codes.ts";

/** Below the coordinator's numbers, because frames bunch up on their way. */
const BURST_FRAMES = LIMITS.frameBurst / 2;
const FRAMES_PER_SECOND = LIMITS.framesPerSecond * 0.9;

export class FrameBudget {
  #frames = BURST_FRAMES;
  #earnedMs: number;

  constructor(nowMs: number) {
    this.#earnedMs = nowMs;
  }

  /** Whether `frames` may be sent now without going into debt. */
  allows(frames: number, nowMs: number): boolean {
    this.#frames = Math.min(BURST_FRAMES, this.#frames + ((nowMs - this.#earnedMs) / 1000) * FRAMES_PER_SECOND);
    this.#earnedMs = nowMs;
    return this.#frames >= frames;
  }

  /** One frame went out. Heartbeats and retries go out in any case, and are paid for later. */
  spend(): void {
    this.#frames -= 1;
  }
}
