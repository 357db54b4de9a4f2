import { describe, expect, test } from "vitest";
import { Random } from "../../shared/random.ts";
import {
  batchPartsOf,
  dividedIntoGroups,
  groupOfNewcomer,
  periodAt,
  regroupedAfterLeave,
  sharesOf,
  workOf,
  type Paced,
} from "../../shared/solver/groups.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";
import { solverSettings } from "../support/run_fixture.ts";
import { TINY_SETTINGS } from "../support/tiny_run.ts";

const paced = (...speeds: number[]): Paced[] => speeds.map((speed, at) => ({ id: `r${at}`, speed }));

function settings(changes: Partial<SolverSettings>): SolverSettings {
  return { ...solverSettings(TINY_SETTINGS), batch: 64, ...changes };
}

describe("Groups", () => {
  test("[G1] They have about equal total speed, and every group has a member where there are enough", () => {
    const members = paced(10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
    const grouping = dividedIntoGroups(members, 2);
    const total = (group: number): number =>
      members.reduce((sum, { id, speed }) => sum + (grouping.get(id) === group ? speed : 0), 0);
    expect([total(0), total(1)]).toEqual([10, 10]);
    expect(new Set(dividedIntoGroups(paced(5, 5, 5), 3).values()).size).toBe(3);
  });
  test("[G1] In random mixes no group is faster than another by more than its fastest member", () => {
    const random = new Random(4);
    for (let trial = 0; trial < 200; trial++) {
      const members = paced(...Array.from({ length: 3 + random.below(20) }, () => 1 + random.below(100)));
      const groups = 1 + random.below(Math.min(6, members.length));
      const grouping = dividedIntoGroups(members, groups);
      const totals = Array.from({ length: groups }, (_, group) =>
        members.reduce((sum, { id, speed }) => sum + (grouping.get(id) === group ? speed : 0), 0),
      );
      const fastest = Math.max(...members.map(({ speed }) => speed));
      expect(Math.max(...totals) - Math.min(...totals)).toBeLessThanOrEqual(fastest);
      expect(Math.min(...totals)).toBeGreaterThan(0);
    }
  });
  test("[G1] A newcomer goes to the slowest group; whose speed is unknown counts as the mean of the others", () => {
    const members = paced(10, 2, 0);
    expect(groupOfNewcomer(members, new Map([["r0", 0]]), 2)).toBe(1);
    expect(
      groupOfNewcomer(
        members,
        new Map([
          ["r0", 0],
          ["r1", 1],
          ["r2", 1],
        ]),
        2,
      ),
    ).toBe(1);
    expect(
      groupOfNewcomer(
        paced(10, 2, 0, 10),
        new Map([
          ["r0", 0],
          ["r1", 1],
          ["r2", 1],
        ]),
        2,
      ),
    ).toBe(1);
    expect(groupOfNewcomer([], new Map(), 3)).toBe(0);
  });
  test("[G1] After a leave nobody moves while groups are within a factor of two, and all are divided anew beyond it", () => {
    const even = new Map([
      ["r0", 0],
      ["r1", 1],
    ]);
    expect(regroupedAfterLeave(paced(10, 6), even, 2)).toBeUndefined();
    // One group is empty, and could have a member.
    expect([
      ...(regroupedAfterLeave(
        paced(10, 6),
        new Map([
          ["r0", 0],
          ["r1", 0],
        ]),
        2,
      )?.values() ?? []),
    ]).toEqual([0, 1]);
    // Three against one, of equal speed.
    const lopsided = new Map([
      ["r0", 0],
      ["r1", 0],
      ["r2", 0],
      ["r3", 1],
    ]);
    const better = regroupedAfterLeave(paced(5, 5, 5, 5), lopsided, 2);
    expect([...(better?.values() ?? [])].filter((group) => group === 0)).toHaveLength(2);
    // No division is better: nobody is moved for nothing.
    expect(regroupedAfterLeave(paced(100, 1), even, 2)).toBeUndefined();
    expect(regroupedAfterLeave([], new Map(), 2)).toBeUndefined();
  });
});

describe("Work", () => {
  test("[G5] Shares are whole parts in proportion to speed, by largest remainder, at least one each", () => {
    expect(sharesOf([1, 1], 8)).toEqual([4, 4]);
    expect(sharesOf([3, 1], 8)).toEqual([6, 2]);
    expect(sharesOf([100, 1, 1], 8)).toEqual([6, 1, 1]);
    expect(sharesOf([2, 1, 1], 8)).toEqual([4, 2, 2]);
    expect(sharesOf([1, 1, 1], 8).toSorted((a, b) => a - b)).toEqual([2, 3, 3]);
    expect(sharesOf([5], 8)).toEqual([8]);
  });
  test("[G5] Shares sum up to the parts, or to one each where there are more replicas than parts", () => {
    const random = new Random(9);
    for (let trial = 0; trial < 300; trial++) {
      const speeds = Array.from({ length: 1 + random.below(12) }, () => random.below(1000));
      const parts = 1 + random.below(8);
      const shares = sharesOf(speeds, parts);
      expect(shares.every((share) => Number.isInteger(share) && share >= 1)).toBe(true);
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(Math.max(parts, speeds.length));
    }
  });
  test("[G5] The parts of a batch are its greatest divisor up to 8, where gradients of shares are wanted", () => {
    expect(batchPartsOf(settings({ solver: "async-sgd", groups: 2 }))).toBe(8);
    expect(batchPartsOf(settings({ solver: "async-sgd", groups: 2, batch: 50 }))).toBe(5);
    expect(batchPartsOf(settings({ solver: "async-sgd" }))).toBe(1);
    expect(batchPartsOf(settings({ solver: "ea-wild", groups: 2 }))).toBe(1);
  });
  test("[G5] A group's batch is shared by speed, or equally", () => {
    const group = paced(30, 10);
    const circumstances = { group, everybody: [...group, { id: "other", speed: 1000 }], batchParts: 8 };
    const samplesOf = (changes: Partial<SolverSettings>): number[] =>
      group.map(
        (each) => workOf(settings({ solver: "async-sgd", groups: 2, ...changes }), each, circumstances).samples,
      );
    expect(samplesOf({})).toEqual([48, 16]);
    expect(samplesOf({ shares: "equal" })).toEqual([32, 32]);
    expect(samplesOf({ groups: null })).toEqual([64, 64]);
  });
  test("[G5] A period is the floor of tau in proportion to speed, and at least 1 (DyLU)", () => {
    expect(periodAt(10, 10, 20)).toBe(20);
    expect(periodAt(5.9, 10, 20)).toBe(11);
    expect(periodAt(0.1, 10, 20)).toBe(1);
  });
  test("[G5] Periods follow the group's fastest where a group shares its work, everybody's where periods follow speed", () => {
    const group = paced(30, 10);
    const circumstances = { group, everybody: [...group, { id: "other", speed: 60 }], batchParts: 1 };
    const periodsOf = (changes: Partial<SolverSettings>): number[] =>
      group.map(
        (each) => workOf(settings({ communicationPeriod: 12, ...changes }), each, circumstances).communicationPeriod,
      );
    expect(periodsOf({})).toEqual([12, 12]);
    expect(periodsOf({ groups: 2 })).toEqual([12, 4]);
    expect(periodsOf({ groups: 2, shares: "equal" })).toEqual([12, 12]);
    expect(periodsOf({ periods: "speed" })).toEqual([6, 2]);
    expect(periodsOf({ solver: "diloco", periods: "speed" })).toEqual([6, 2]);
    // [X17] One of five fragments at a time: each comes by about once in a period.
    expect(periodsOf({ fragments: 5 })).toEqual([3, 3]);
    expect(periodsOf({ fragments: 5, periods: "speed" })).toEqual([2, 1]);
  });
});
