import { expect, test } from "vitest";
import { EvaluationSchedule, type ScheduleOptions } from "../../coordinator/evaluation/schedule.ts";
import { isOutOfReach, selectImages, type EvaluationRequest } from "../../coordinator/evaluation/selection.ts";
import { Random } from "../../shared/random.ts";

const LENET: ScheduleOptions = {
  cores: 2,
  testExamples: 10_000,
  targetAccuracy: 0.98,
  cpuMsPerImage: 0.14,
  startMs: 500,
};

interface Done {
  readonly request: EvaluationRequest;
  readonly startMs: number;
  readonly endMs: number;
  readonly accuracy: number;
  readonly reached: boolean;
}

/** Runs a schedule in virtual time: asks every 100 ms, evaluations last as long as they cost. */
function simulate(
  options: ScheduleOptions,
  untilMs: number,
  accuracyAt: (ms: number) => number,
  costAt = (): number => options.cpuMsPerImage,
): Done[] {
  const schedule = new EvaluationSchedule(options);
  const done: Done[] = [];
  let running: { request: EvaluationRequest; startMs: number; endMs: number; cpuMs: number } | undefined;
  for (let nowMs = options.startMs; nowMs < options.startMs + untilMs; nowMs += 100) {
    if (running && nowMs >= running.endMs) {
      const { request, startMs, endMs, cpuMs } = running;
      running = undefined;
      const images = selectImages(options.testExamples, request).length;
      const accuracy = accuracyAt(startMs - options.startMs);
      const stoppedEarly = request.stopWhenBelow !== null && accuracy < request.stopWhenBelow;
      const reached = schedule.finished({ scope: request.scope, images, accuracy, cpuMs, stoppedEarly });
      done.push({ request, startMs, endMs, accuracy, reached });
    }
    const request = schedule.next(nowMs, nowMs);
    if (!request) continue;
    expect(running).toBeUndefined();
    const cpuMs = selectImages(options.testExamples, request).length * costAt();
    running = { request, startMs: nowMs, endMs: nowMs + cpuMs, cpuMs };
  }
  return done;
}

const cpuMsOf = ({ startMs, endMs }: Done): number => endMs - startMs;

test.each([
  ["LeNet on 2 cores", LENET],
  ["a model that costs 20 times as much", { ...LENET, cpuMsPerImage: 3 }],
  ["16 cores", { ...LENET, cores: 16 }],
  ["a large test set", { ...LENET, testExamples: 50_000 }],
])("Evaluation never takes more than a tenth of the processors: %s", (_, options) => {
  const random = new Random(12);
  // Costs vary by 20 %, and the accuracy swings around the target, so that full evaluations are asked for again and again.
  const cost = (): number => options.cpuMsPerImage * (0.9 + 0.2 * random.uniform());
  const done = simulate(options, 600_000, (ms) => 0.98 + 0.004 * Math.sin(ms / 9000), cost);
  let spentMs = 0;
  for (const evaluation of done) {
    spentMs += cpuMsOf(evaluation);
    expect(spentMs).toBeLessThanOrEqual(0.1 * options.cores * (evaluation.endMs - options.startMs));
  }
  expect(done.some(({ request }) => request.scope === "all")).toBe(true);
});

test("While nothing suggests the target, subsets of consecutive turns come at half the budget, and no full evaluation", () => {
  const done = simulate(LENET, 120_000, () => 0.9);
  expect(done.map(({ request }) => request)).toEqual(
    done.map((_, turn) => ({ scope: "subset", turn, stopWhenBelow: null })),
  );
  // 140 ms each of 100 ms per second.
  expect(done.length).toBeGreaterThan(70);
  expect(done.length).toBeLessThanOrEqual(86);
});

test("A target that is reached after a minute is proven within seconds", () => {
  const done = simulate(LENET, 120_000, (ms) => (ms < 60_000 ? 0.97 : 0.985));
  const proof = done.find(({ reached }) => reached);
  expect(proof?.request).toEqual({ scope: "all", turn: 0, stopWhenBelow: 0.98 });
  expect(proof!.endMs - LENET.startMs).toBeGreaterThan(60_000);
  expect(proof!.endMs - LENET.startMs).toBeLessThan(65_000);
});

test("A full evaluation follows only a subset that reached the target, and after it subsets go on", () => {
  const done = simulate(LENET, 300_000, (ms) => 0.979 + 0.002 * Math.sin(ms / 7000));
  // After each evaluation: whether it suggested the target, and what came next.
  const suggested = done.map(({ request, accuracy }) => request.scope === "subset" && accuracy >= 0.98);
  expect(done.slice(1).map(({ request }) => request.scope === "all")).toEqual(suggested.slice(0, -1));
  expect(suggested).toContain(true);
  expect(done.filter(({ reached }) => reached).every(({ request }) => request.scope === "all")).toBe(true);
});

test("Without a target there are only subsets, a small model gives at most a point per second", () => {
  const done = simulate({ ...LENET, targetAccuracy: null, cpuMsPerImage: 0.002 }, 60_000, () => 1);
  expect(done.every(({ request, reached }) => request.scope === "subset" && !reached)).toBe(true);
  expect(done.length).toBeGreaterThan(55);
  expect(done.length).toBeLessThanOrEqual(60);
});

test("A center that stands still is not judged again, and a failed evaluation makes room for the next", () => {
  const schedule = new EvaluationSchedule(LENET);
  expect(schedule.next(10_000, 4)?.turn).toBe(0);
  expect(schedule.next(20_000, 5)).toBeUndefined();
  schedule.failed();
  expect(schedule.next(30_000, 4)).toBeUndefined();
  expect(schedule.next(30_100, 5)?.turn).toBe(1);
});

test("A test set no larger than a subset proves the target at the first look", () => {
  const schedule = new EvaluationSchedule({ ...LENET, testExamples: 300 });
  expect(schedule.next(10_000, 1)).toEqual({ scope: "subset", turn: 0, stopWhenBelow: null });
  expect(schedule.finished({ scope: "subset", images: 300, accuracy: 0.99, cpuMs: 40, stoppedEarly: false })).toBe(
    true,
  );
});

test.each([10_000, 12_345, 999, 1, 1501])(
  "The subsets of %i images are strided, differ, and are all together",
  (count) => {
    const all = selectImages(count, { scope: "all", turn: 3, stopWhenBelow: null });
    expect([...all].toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, index) => index));
    const first = selectImages(count, { scope: "subset", turn: 0, stopWhenBelow: null });
    expect(first.length).toBeLessThanOrEqual(1500);
    const second = selectImages(count, { scope: "subset", turn: 1, stopWhenBelow: null });
    expect(new Set([...first, ...second]).size).toBe(count > 1500 ? first.length + second.length : count);
  },
);

test("Out of reach means that even all remaining right answers do not suffice", () => {
  expect(isOutOfReach(0.98, 9700, 100, 10_000)).toBe(false);
  expect(isOutOfReach(0.98, 9699, 100, 10_000)).toBe(true);
  expect(isOutOfReach(0.7, 700, 0, 1000)).toBe(false);
});
