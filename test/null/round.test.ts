import { expect, test } from "vitest";
import { Rate } from "../../coordinator/rate.ts";
import { Round } from "../../coordinator/round.ts";

test("[X15] A round is complete when every member has pushed", () => {
  const round = new Round(["a", "b"]);
  expect(round.isComplete).toBe(false);
  void round.push("a");
  expect(round.isComplete).toBe(false);
  void round.push("b");
  expect(round.isComplete).toBe(true);
});

test("[X15] A member that leaves stops being waited for, and a round that nobody pushed to never completes", () => {
  const round = new Round(["a", "b"]);
  round.leave("a");
  round.leave("b");
  expect(round.isComplete).toBe(false);
  void round.push("b");
  expect(round.isComplete).toBe(true);
});

test("[X15] A newcomer is waited for at once in a round that nobody pushed to, and else contributes without being waited for", () => {
  const fresh = new Round(["a"]);
  fresh.join("b");
  void fresh.push("a");
  expect(fresh.isComplete).toBe(false);
  const begun = new Round(["a", "b"]);
  void begun.push("a");
  begun.join("c");
  void begun.push("c");
  expect(begun.isComplete).toBe(false);
  expect(begun.pushed).toBe(2);
  void begun.push("b");
  expect(begun.isComplete).toBe(true);
});

test("[X15] Pushers go on when the step has been taken, and the next round begins empty", async () => {
  const round = new Round(["a"]);
  let stepped = false;
  const waiting = round.push("a").then(() => stepped);
  const { promise: step, resolve } = Promise.withResolvers<void>();
  round.finish(step, ["a", "b"]);
  expect(round.pushed).toBe(0);
  stepped = true;
  resolve();
  expect(await waiting).toBe(true);
  void round.push("a");
  expect(round.isComplete).toBe(false);
});

test("A rate is right from its first seconds, and follows a change within a few half-lives", () => {
  const rate = new Rate(0, 1000);
  expect(rate.perSecond(0)).toBe(0);
  for (let nowMs = 100; nowMs <= 1000; nowMs += 100) rate.add(10, nowMs);
  expect(rate.perSecond(1000)).toBeGreaterThan(95);
  expect(rate.perSecond(1000)).toBeLessThan(115);
  expect(rate.perSecond(8000)).toBeLessThan(1);
});
