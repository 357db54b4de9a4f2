import { describe, expect, test } from "vitest";
import { instabilitiesOf, isStable } from "../../shared/solver/stability.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";

const PLAIN: SolverSettings = {
  solver: "ea-wild",
  exchange: "one-round-trip",
  batch: 64,
  communicationPeriod: 1,
  learningRate: 0.5,
  momentum: 0,
  weightDecay: 0,
  optimizer: "momentum",
  schedule: { kind: "constant" },
  warmUp: 0,
  elasticRate: 0.9,
  movingRate: null,
  staleness: { kind: "none" },
  delayCompensation: 0,
  outerLearningRate: 0.7,
  outerMomentum: 0.9,
  nesterovDelay: null,
  groups: null,
  shares: "equal",
  periods: "equal",
};

/** The bound between stable and unstable on a curvature of 1, found by halving. */
function boundOf(settingsAt: (value: number) => SolverSettings, replicas: number, most: number): number {
  let low = 0;
  let high = most;
  for (let halving = 0; halving < 24; halving++) {
    const middle = (low + high) / 2;
    if (isStable(settingsAt(middle), replicas, 1)) low = middle;
    else high = middle;
  }
  return low;
}

/** The growth that counts as none moves bounds by less than this share. */
const TOLERANCE = 0.012;

function expectNear(found: number, known: number): void {
  expect(Math.abs(found / known - 1), `${found} against ${known}`).toBeLessThan(TOLERANCE);
}

describe("The bounds of the literature come out of the model", () => {
  test("Gradient descent is stable below 2 / h, and with momentum below 2 (1 + mu) / h", () => {
    for (const momentum of [0, 0.5, 0.9])
      expectNear(
        boundOf((learningRate) => ({ ...PLAIN, solver: "async-msgd", learningRate, momentum }), 1, 6),
        2 * (1 + momentum),
      );
  });
  test("With p replicas in turn it is gradient descent with the delay p - 1: 2 sin(pi / (4 d + 2))", () => {
    for (const delay of [1, 2, 4, 7])
      expectNear(
        boundOf((learningRate) => ({ ...PLAIN, solver: "async-sgd", learningRate }), delay + 1, 4),
        2 * Math.sin(Math.PI / (4 * delay + 2)),
      );
  });
  test("Elastic averaging by one replica after its step: alpha <= (4 - 2 eta h) / (4 - 3 eta h)", () => {
    for (const learningRate of [0.1, 0.5])
      expectNear(
        boundOf((movingRate) => ({ ...PLAIN, solver: "original-easgd", learningRate, movingRate }), 1, 3),
        (4 - 2 * learningRate) / (4 - 3 * learningRate),
      );
  });
  test("Synchronous elastic averaging of flat directions is stable while (1 + p) alpha < 2", () => {
    for (const replicas of [1, 2, 4, 8])
      expectNear(
        boundOf((movingRate) => ({ ...PLAIN, solver: "sync-easgd", learningRate: 1e-9, movingRate }), replicas, 3),
        2 / (1 + replicas),
      );
  });
  test("DiLoCo's outer step after perfect local training is stable below (2 + 2 beta) / (1 + 2 beta)", () => {
    for (const outerMomentum of [0.5, 0.9])
      expectNear(
        boundOf(
          (outerLearningRate) => ({ ...PLAIN, solver: "diloco", learningRate: 1, outerMomentum, outerLearningRate }),
          4,
          4,
        ),
        (2 + 2 * outerMomentum) / (1 + 2 * outerMomentum),
      );
  });
});

describe("What a run is told", () => {
  const downpour: SolverSettings = { ...PLAIN, solver: "downpour", learningRate: 0.1 };
  test("Downpour with a long period is unstable where the elastic family is not", () => {
    for (const communicationPeriod of [16, 64]) {
      expect(isStable({ ...downpour, communicationPeriod }, 4, 3)).toBe(false);
      for (const solver of ["ea-wild", "async-easgd", "original-easgd", "sync-easgd"] as const)
        expect(isStable({ ...downpour, solver, communicationPeriod }, 4, 3), solver).toBe(true);
    }
  });
  test("Every knob that would help alone is named with its bound, and the bound is stable", () => {
    const settings: SolverSettings = { ...downpour, communicationPeriod: 64 };
    const found = instabilitiesOf(settings, 4, 3);
    expect(found.map(({ knob }) => knob)).toEqual(["communicationPeriod", "learningRate"]);
    for (const { knob, value, bound } of found) {
      expect(bound).toBeLessThan(value);
      expect(instabilitiesOf({ ...settings, [knob]: bound }, 4, 3)).toEqual([]);
    }
  });
  test("Two round trips with a fixed alpha are unstable once all replicas together pull too far, for any loss", () => {
    const settings: SolverSettings = { ...PLAIN, exchange: "two-round-trip", movingRate: 0.3 };
    expect(instabilitiesOf(settings, 4, 0)).toEqual([]);
    expect(instabilitiesOf(settings, 8, 0)).toMatchObject([{ knob: "movingRate", value: 0.3 }]);
    expect(instabilitiesOf({ ...settings, exchange: "one-round-trip" }, 8, 0)).toEqual([]);
  });
  test("Groups count as one replica each: fewer groups allow larger steps", () => {
    const settings: SolverSettings = { ...PLAIN, solver: "async-msgd", momentum: 0.5, learningRate: 0.1 };
    expect(isStable({ ...settings, groups: 8 }, 8, 3)).toBe(false);
    expect(isStable({ ...settings, groups: 1 }, 8, 3)).toBe(true);
  });
  test("Negative momentum at the center widens the bound where staleness has made it narrow", () => {
    const bounds = [-0.5, 0, 0.9].map((momentum) =>
      boundOf((learningRate) => ({ ...PLAIN, solver: "async-msgd", learningRate, momentum }), 8, 2),
    );
    expect(bounds).toEqual(bounds.toSorted((a, b) => b - a));
    expect(new Set(bounds).size).toBe(3);
  });
});
