import { expect, test } from "vitest";
import { Round } from "../../coordinator/order/round.ts";
import { Rate } from "../../coordinator/rate.ts";

test("[X15] A round is complete when all who are waited for have pushed", () => {
  const round = new Round(["a", "b"], 0);
  expect(round.isComplete).toBe(false);
  round.push("a");
  expect(round.isComplete).toBe(false);
  expect([...round.awaited]).toEqual(["b"]);
  round.push("b");
  expect(round.isComplete).toBe(true);
  expect([...round.arrived]).toEqual(["a", "b"]);
});

test("[X15] A member that leaves stops being waited for, and a round that nobody pushed to never completes", () => {
  const round = new Round(["a", "b"], 0);
  round.leave("a");
  round.leave("b");
  expect(round.isComplete).toBe(false);
  round.push("b");
  expect(round.isComplete).toBe(true);
});

test("[X15] A newcomer is waited for at once in a round that nobody pushed to, and else contributes without being waited for", () => {
  const fresh = new Round(["a"], 0);
  fresh.join("b");
  fresh.push("a");
  expect(fresh.isComplete).toBe(false);
  const begun = new Round(["a", "b"], 0);
  begun.push("a");
  begun.join("c");
  begun.push("c");
  expect(begun.isComplete).toBe(false);
  expect(begun.arrived.size).toBe(2);
  begun.push("b");
  expect(begun.isComplete).toBe(true);
});

test("A rate is right from its first seconds, and follows a change within a few half-lives", () => {
  const rate = new Rate(0, 1000);
  expect(rate.perSecond(0)).toBe(0);
  for (let nowMs = 100; nowMs <= 1000; nowMs += 100) rate.add(10, nowMs);
  expect(rate.perSecond(1000)).toBeGreaterThan(95);
  expect(rate.perSecond(1000)).toBeLessThan(115);
  expect(rate.perSecond(8000)).toBeLessThan(1);
});
