/** The pieces of the simulator that need no training: order of events, step times, queues at the center. */

import { describe, expect, test } from "vitest";
import { EventQueue } from "../../coordinator/simulate/event_queue.ts";
import { Servers } from "../../coordinator/simulate/servers.ts";
import { StepClock, type StepTimes } from "../../coordinator/simulate/step_times.ts";
import { Random } from "../../shared/random.ts";

describe("The event queue", () => {
  test("gives events by time, and of equal times in the order in which they were scheduled", () => {
    const random = new Random(3);
    const queue = new EventQueue<{ time: number; order: number }>();
    const expected: { time: number; order: number }[] = [];
    const taken: { time: number; order: number }[] = [];
    let earliest = 0;
    for (let order = 0; order < 5000; order++) {
      const event = { time: earliest + random.below(20), order };
      queue.schedule(event.time, event);
      expected.push(event);
      if (random.below(3) > 0) continue;
      const next = queue.next();
      if (next) taken.push(next);
      earliest = next?.time ?? earliest;
    }
    for (let next = queue.next(); next; next = queue.next()) taken.push(next);
    expect(taken).toHaveLength(expected.length);
    // Nothing was scheduled in the past, so what was taken out is sorted as a whole.
    expect(taken).toEqual(expected.toSorted((a, b) => a.time - b.time || a.order - b.order));
    expect(queue.nextSeconds).toBe(Infinity);
  });
});

describe("Step times", () => {
  const KINDS: [StepTimes, number][] = [
    [{ kind: "fixed" }, 0],
    [{ kind: "exponential" }, 1],
    [{ kind: "uniform", spread: 0.5 }, 0.25 / 3],
    [{ kind: "lognormal", sigma: 0.5 }, Math.exp(0.25) - 1],
    [{ kind: "trace", seconds: [0.1, 0.3] }, 0.25],
  ];
  test.each(KINDS)("of kind %j have the mean and the variance of their distribution", (times, squaredVariation) => {
    const clock = new StepClock(times, 0.2, 3, new Random(11));
    const draws = Array.from({ length: 40_000 }, () => clock.seconds(1, 1));
    const mean = draws.reduce((sum, seconds) => sum + seconds, 0) / draws.length;
    const variance = draws.reduce((sum, seconds) => sum + (seconds - mean) ** 2, 0) / draws.length;
    expect(clock.meanSeconds).toBeCloseTo(0.6, 12);
    expect(mean / 0.6).toBeCloseTo(1, 1);
    expect(variance / mean ** 2).toBeGreaterThanOrEqual(0.95 * squaredVariation - 1e-9);
    expect(variance / mean ** 2).toBeLessThanOrEqual(1.05 * squaredVariation + 1e-9);
  });

  test("of several steps and of a share of a batch add up", () => {
    const clock = new StepClock({ kind: "fixed" }, 0.2, 1, new Random(1));
    expect(clock.seconds(5, 0.25)).toBeCloseTo(0.25, 12);
  });
});

describe("Servers", () => {
  test("serve in order of arrival, as many at once as there are", () => {
    const one = new Servers(1);
    expect([one.begin(0, 2), one.begin(0.5, 2), one.begin(10, 1)]).toEqual([0, 2, 10]);
    const two = new Servers(2);
    expect([two.begin(0, 2), two.begin(0.5, 2), two.begin(1, 1), two.begin(1, 1)]).toEqual([0, 0.5, 2, 2.5]);
  });
});
