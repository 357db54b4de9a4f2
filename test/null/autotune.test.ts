import { expect, test } from "vitest";
import { Autotuner, type AutotunerOptions } from "../../coordinator/autotune/autotuner.ts";
import { search } from "../../coordinator/autotune/search.ts";
import type { Tuning } from "../../coordinator/autotune/trials.ts";
import type { AutotuneDecision } from "../../shared/run_view.ts";
import { QuadraticTrials, type QuadraticRun } from "../support/quadratic_trials.ts";

const RUN: QuadraticRun = {
  replicas: 8,
  computeSeconds: 0.2,
  exchangeSeconds: 0.5,
  applySeconds: 0.01,
  isRandom: true,
  seed: 3,
  curvatures: [0.1, 0.05, 0.02, 0.01, 0.005, 0.002],
  gradientNoise: 1,
  targetLoss: 1e-5,
};

type OptionsGiven = Partial<Omit<AutotunerOptions<never>, "trials" | "onDecision">>;

async function tuned(run: QuadraticRun, options: OptionsGiven = {}) {
  const trials = new QuadraticTrials(run);
  const decisions: AutotuneDecision[] = [];
  const onDecision = (decision: AutotuneDecision): number => decisions.push(decision);
  const autotuner = new Autotuner({ trials, learningRate: 0.1, onDecision, ...options });
  await autotuner.run();
  return { trials, decisions, seconds: trials.now(), lostSeconds: autotuner.lostSeconds };
}

/** Seconds to the target with fixed settings, or Infinity. */
async function fixed(run: QuadraticRun, tuning: Tuning, mostSeconds: number): Promise<number> {
  const trials = new QuadraticTrials({ ...run, endSeconds: mostSeconds });
  await trials.retune(tuning);
  await trials.advance(mostSeconds);
  return trials.now() < mostSeconds ? trials.now() : Infinity;
}

test.each([
  { mix: "bound by exchanges", computeSeconds: 0.2, exchangeSeconds: 0.5 },
  { mix: "bound by computing", computeSeconds: 8, exchangeSeconds: 0.05 },
])(
  "A machine mix $mix: tuned, search included, it is faster than synchronous and asynchronous training untuned",
  async (mix) => {
    const run = { ...RUN, ...mix };
    const { seconds } = await tuned(run);
    for (const groups of [1, 8]) {
      const untuned = await fixed(run, { groups, momentum: 0.9, learningRate: 0.03 }, 20_000);
      expect(seconds, `${groups} groups`).toBeLessThan(untuned);
    }
  },
);

test("Equal runs get equal decisions, each with a reason in words", async () => {
  const [first, second] = [await tuned(RUN), await tuned(RUN)];
  expect(second.decisions).toEqual(first.decisions);
  const [groups, found] = first.decisions;
  expect(groups).toMatchObject({ phase: "groups", groups: 8 });
  expect(groups?.reason).toMatch(
    /^8 groups: [\d.]+ ms per update, \d+ % less than with 4, and there are no more replicas$/,
  );
  expect(found?.phase).toBe("search");
  expect(found?.reason).toMatch(/momentum .*, learning rate .* had the lowest loss of \d+ tried: .* against .*\(/);
});

test("What saves less than 10 % per update is not worth its asynchrony: a coordinator that is busy gets few groups", async () => {
  const { decisions } = await tuned({ ...RUN, applySeconds: 0.2, isRandom: false });
  expect(decisions[0]?.groups).toBe(4);
  expect(decisions[0]?.reason).toMatch(/8 would save/);
});

const START: Tuning = { groups: 2, momentum: 0, learningRate: 0.1 };

function grid(rates: readonly number[], momenta: readonly number[]): Tuning[] {
  return rates.flatMap((learningRate) => momenta.map((momentum) => ({ ...START, learningRate, momentum })));
}

test("What diverged prunes every larger learning rate and momentum, untried", async () => {
  const trials = new QuadraticTrials({ ...RUN, curvatures: [1], gradientNoise: 0 });
  const result = await search(trials, await trials.snapshot(), {
    candidates: grid([0.1, 30, 100], [0, 0.3]),
    firstSeconds: 30,
    ties: [],
    startLoss: 0.5,
    beyond: () => [],
  });
  const outcome = (learningRate: number, momentum: number): string | undefined =>
    result.trials.find(({ tuning }) => tuning.learningRate === learningRate && tuning.momentum === momentum)?.outcome;
  expect([outcome(30, 0), outcome(30, 0.3), outcome(100, 0), outcome(100, 0.3)]).toEqual([
    "diverged",
    "pruned",
    "pruned",
    "pruned",
  ]);
  expect(trials.tried.some(({ learningRate }) => learningRate === 100)).toBe(false);
  expect(result.best?.tuning.learningRate).toBe(0.1);
});

test("A search leaves the run in its winner's state, so that only the losers' time is lost", async () => {
  const trials = new QuadraticTrials(RUN);
  await trials.retune(START);
  await trials.advance(5);
  const before = trials.lossNow;
  const begun = trials.now();
  const result = await search(trials, await trials.snapshot(), {
    candidates: grid([0.01, 0.1, 0.3], [0, 0.3, 0.6]),
    firstSeconds: 4,
    ties: [],
    startLoss: before,
    beyond: () => [],
  });
  expect(result.end).toBe("found");
  expect(result.best?.seconds).toBeCloseTo(12, 6);
  expect(result.lostSeconds).toBeCloseTo(trials.now() - begun - 12, 6);
  expect(trials.lossNow).toBeLessThan(before);
  expect(trials.tried.at(-1)).toEqual(result.best?.tuning);
});

test("Losses in a tie go to the largest learning rate, then the largest momentum", async () => {
  const trials = new QuadraticTrials({ ...RUN, curvatures: [1e-9], gradientNoise: 0 });
  const result = await search(trials, await trials.snapshot(), {
    candidates: grid([0.01, 0.1], [0, 0.3]),
    firstSeconds: 4,
    ties: [1.01, 1.01],
    startLoss: 1,
    beyond: () => [],
  });
  expect(result.best?.tuning).toMatchObject({ learningRate: 0.1, momentum: 0.3 });
});

test("Searches lose about a tenth of a long run's time", async () => {
  const { seconds, lostSeconds, decisions } = await tuned({ ...RUN, targetLoss: 0, endSeconds: 6000 });
  expect(decisions.filter(({ phase }) => phase === "search").length).toBeGreaterThan(2);
  expect(lostSeconds / seconds).toBeLessThan(0.15);
});

test("Replicas that leave and join change the number of groups, and the run reaches its target", async () => {
  const churn = [
    { seconds: 90, replicas: 3 },
    { seconds: 130, replicas: 16 },
  ];
  const { decisions, trials } = await tuned({ ...RUN, churn });
  const followed = decisions.filter(({ phase }) => phase === "replicas");
  expect(followed.map(({ groups }) => groups)).toEqual([3, 16]);
  expect(followed[0]?.reason).toMatch(/^3 replicas instead of 8: 3 groups/);
  expect(trials.lossNow).toBeLessThan(1e-4);
});

test("A run that goes on begins with its last decision, without a cold start", async () => {
  const resumed = { groups: 4, momentum: 0.3, learningRate: 0.3 };
  const { decisions, trials } = await tuned({ ...RUN, endSeconds: 20 }, { resumed });
  expect(decisions[0]).toMatchObject({ phase: "resumed", ...resumed });
  expect(new Set(trials.tried)).toEqual(new Set([resumed]));
});

test("A first learning rate that diverges is lowered until training holds", async () => {
  const { decisions, trials } = await tuned({ ...RUN, endSeconds: 400 }, { learningRate: 1000 });
  expect(decisions.find(({ phase }) => phase === "search")?.learningRate).toBeLessThan(100);
  expect(trials.lossNow).toBeLessThan(0.05);
});
