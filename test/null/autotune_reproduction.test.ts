/** What the reproduction of Omnivore makes of its measurements: verdicts from numbers that are known. */

import { expect, test } from "vitest";
import { fixedUpdateSeconds } from "../../coordinator/autotune/hardware_model.ts";
import { findingsOfHardware } from "../../coordinator/reproduce/omnivore/hardware.ts";
import { mergedTraffic } from "../../coordinator/reproduce/omnivore/layout.ts";
import { findingsOfRace } from "../../coordinator/reproduce/omnivore/race.ts";
import { MIXES } from "../../coordinator/reproduce/omnivore/setting.ts";

function verdicts(findings: readonly { readonly id: string; readonly verdict: string }[]): Record<string, string> {
  return Object.fromEntries(findings.map(({ id, verdict }) => [id, verdict]));
}

test("LeNet's merged fully connected layers: 3.24 MB of weights against 0.41 MB of boundary at batch 64", () => {
  const { weightBytes, boundaryBytes } = mergedTraffic();
  expect(weightBytes).toBe(2 * 4 * 405_510);
  expect(boundaryBytes).toBe(2 * 4 * 64 * 800);
});

/** Times that follow the formula, but for a factor. */
function hardware(factor: number): Parameters<typeof findingsOfHardware>[0] {
  return [0.005, 0.04, 0.16].flatMap((applySeconds) =>
    [1, 2, 4, 8].map((groups) => {
      const work = (0.8 * groups) / 8 + 0.1;
      const seconds = factor * fixedUpdateSeconds(work, applySeconds, groups);
      return { applySeconds, groups, work, fixed: [seconds, seconds * 1.0001, seconds * 0.9999], random: [seconds] };
    }),
  );
}

test("Times on the formula reproduce it, times a tenth above it do not", () => {
  expect(verdicts(findingsOfHardware(hardware(1)))).toEqual({
    "he-formula": "reproduced",
    "he-saturation": "reproduced",
    "he-fit": "reproduced",
  });
  expect(verdicts(findingsOfHardware(hardware(1.1)))["he-formula"]).toBe("not reproduced");
});

type Raced = Parameters<typeof findingsOfRace>[0][number];

function reported(groups: number, momentum: number, seconds: readonly number[]): Raced["finalists"][number] {
  return { point: { groups, momentum, learningRate: 0.1 }, seconds, updates: seconds.map((each) => 10 * each) };
}

function raced(optimizerSeconds: readonly number[]): Raced {
  const mix = MIXES[0];
  if (!mix) throw new Error("there is no mix");
  const best = reported(8, 0, [100, 101, 99]);
  const optimizer = optimizerSeconds.map((virtualSeconds) => ({
    chosen: best.point,
    decisions: [],
    lostSeconds: 10,
    report: { virtualSeconds },
  })) as unknown as Raced["optimizer"];
  return {
    mix,
    grid: [],
    finalists: [best],
    tunedByGroups: [reported(1, 0.9, [200, 202, 198]), best],
    untunedByGroups: [reported(1, 0.9, [200, 202, 198]), reported(8, 0.9, [300, 303, 297])],
    optimizer,
    duel: { point: best.point, best: best.seconds, optimizer: optimizerSeconds },
  };
}

test("An optimizer a tenth behind the best of the grid reproduces the claim, one that takes half as long again does not", () => {
  expect(verdicts(findingsOfRace([raced([110, 112, 108])]))).toEqual({
    "untuned-momentum-costs": "reproduced",
    "tuned-optimum-more-groups": "reproduced",
    "optimizer-near-best-exchange": "reproduced",
    "optimizer-beats-fixed": "reproduced",
  });
  const slow = findingsOfRace([raced([150, 152, 148])]);
  expect(verdicts(slow)["optimizer-near-best-exchange"]).toBe("not reproduced");
  expect(slow.find(({ id }) => id === "optimizer-near-best-exchange")?.measured).toBeCloseTo(1.5, 2);
});
