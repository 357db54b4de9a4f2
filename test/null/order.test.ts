/** SPEC G and X15: how the pushes of several replicas come together, over real sockets with a clock that the test moves. */

import { afterEach, describe, expect, test } from "vitest";
import type { SolverName } from "../../shared/solver/catalogue.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { pushHeader, RunFixture } from "../support/run_fixture.ts";
import { SocketRun, type ScriptedReplica } from "../support/socket_run.ts";
import { TINY_LAYOUT } from "../support/tiny_run.ts";

const SILENCE_MS = 60;

let open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const run of open.splice(0)) await run.close();
  open = [];
});

async function runOf(solver: SolverName, rule: Partial<SolverSettings>, batchParts = 1): Promise<SocketRun> {
  const run = await SocketRun.create({ settings: { solver, batchParts }, rule, applier: "locked" });
  open.push(run);
  return run;
}

async function joined(run: SocketRun, ...speeds: number[]): Promise<ScriptedReplica[]> {
  const replicas: ScriptedReplica[] = [];
  for (const speed of speeds) replicas.push(await run.join(speed));
  return replicas;
}

const vector = (value: number): Float32Array<ArrayBuffer> => new Float32Array(TINY_LAYOUT.elements).fill(value);
const first = (values: Float32Array): number => values[0] ?? Number.NaN;
const centerOf = (run: SocketRun): number => first(run.fixture.center.snapshot().parameters);

/** Time goes by, and the coordinator notices. */
function pass(run: SocketRun, ms: number): void {
  run.fixture.nowMs += ms;
  run.fixture.run.tick();
}

describe("Compute groups", () => {
  test("[G2] [G5] A group's gradients are weighted by their samples, shares follow speed, and one step answers all", async () => {
    const run = await runOf("async-sgd", { groups: 1, batch: 64, learningRate: 1 }, 8);
    const [fast, slow] = (await joined(run, 300, 100)) as [ScriptedReplica, ScriptedReplica];
    expect([fast.assignment.samples, slow.assignment.samples]).toEqual([64, 16]);
    fast.push("gradient", vector(0));
    slow.push("gradient", vector(0));
    await Promise.all([fast.answered("gradient"), slow.answered("gradient")]);
    expect([fast.assignment.samples, slow.assignment.samples]).toEqual([48, 16]);
    const before = centerOf(run);
    fast.push("gradient", vector(0.1));
    slow.push("gradient", vector(0.5));
    const answers = await Promise.all([fast.answered("gradient"), slow.answered("gradient")]);
    const mean = (48 * 0.1 + 16 * 0.5) / 64;
    expect(centerOf(run)).toBeCloseTo(before - mean, 6);
    for (const answer of answers) expect(answer.header).toMatchObject({ version: 2, staleness: 0 });
    expect(first(fast.base)).toBeCloseTo(before - mean, 6);
    expect(run.fixture.run.view()).toMatchObject({
      version: 2,
      applied: 4,
      groups: 1,
      replicas: [
        { group: 0, batchShare: 48 },
        { group: 0, batchShare: 16 },
      ],
    });
  });
  test("[G2] A group whose members moved apart is one elastic replica: its mean pulls, and all are pulled by the same", async () => {
    const run = await runOf("async-easgd", { groups: 1, movingRate: 0.5, shares: "equal" });
    const [a, b] = (await joined(run, 100, 100)) as [ScriptedReplica, ScriptedReplica];
    const start = centerOf(run);
    a.parameters = a.parameters.map((x) => x + 1);
    b.parameters = b.parameters.map((x) => x + 3);
    a.push("parameters");
    b.push("parameters");
    await Promise.all([a.answered("parameters"), b.answered("parameters")]);
    // The mean is 2 away: the center goes half the way, and the mean of the replicas too.
    expect(centerOf(run)).toBeCloseTo(start + 1, 5);
    expect((first(a.parameters) + first(b.parameters)) / 2).toBeCloseTo(start + 1, 5);
  });
  test("[G3] Groups do not wait for each other", async () => {
    const run = await runOf("async-sgd", { groups: 2, learningRate: 1 });
    const [a, b] = (await joined(run, 100, 100)) as [ScriptedReplica, ScriptedReplica];
    for (let round = 1; round <= 3; round++) {
      a.push("gradient", vector(0.1));
      expect((await a.answered("gradient")).header.version).toBe(round);
    }
    b.push("gradient", vector(0.1));
    expect((await b.answered("gradient")).header.staleness).toBe(3);
    expect(run.fixture.run.view().replicas.map(({ group }) => group)).toEqual([0, 1]);
  });
  test("[G4] A member that lags is waited for until the deadline, then no more until its push comes, which counts where it comes", async () => {
    const run = await runOf("async-sgd", { groups: 1, batch: 10, learningRate: 1, shares: "equal" });
    const [a, b, slow] = (await joined(run, 100, 100, 100)) as [ScriptedReplica, ScriptedReplica, ScriptedReplica];
    a.push("gradient", vector(0.3));
    b.push("gradient", vector(0.3));
    expect(await a.isSilentFor(SILENCE_MS)).toBe(true);
    // Ten samples at 100 per second: 100 ms, and half as much again, and the slack.
    pass(run, 390);
    expect(await a.isSilentFor(SILENCE_MS)).toBe(true);
    pass(run, 20);
    await Promise.all([a.answered("gradient"), b.answered("gradient")]);
    expect(run.fixture.center.version).toBe(1);
    // Nobody waits for the late one in the next round.
    a.push("gradient", vector(0.3));
    b.push("gradient", vector(0.3));
    await Promise.all([a.answered("gradient"), b.answered("gradient")]);
    const before = centerOf(run);
    slow.push("gradient", vector(0.9));
    expect(await slow.isSilentFor(SILENCE_MS)).toBe(true);
    a.push("gradient", vector(0.3));
    b.push("gradient", vector(0.3));
    const late = await slow.answered("gradient");
    await Promise.all([a.answered("gradient"), b.answered("gradient")]);
    expect(late.header).toMatchObject({ staleness: 2, version: 3 });
    expect(centerOf(run)).toBeCloseTo(before - 0.5, 5);
    // And it is waited for again.
    a.push("gradient", vector(0));
    b.push("gradient", vector(0));
    expect(await a.isSilentFor(SILENCE_MS)).toBe(true);
    slow.push("gradient", vector(0));
    await Promise.all([a.answered("gradient"), b.answered("gradient"), slow.answered("gradient")]);
  });
  test("[G4] A member that leaves does not stop its group, and what it pushed counts", async () => {
    const run = await runOf("async-sgd", { groups: 1, learningRate: 1, shares: "equal" });
    const [a, b, leaver] = (await joined(run, 100, 100, 100)) as [ScriptedReplica, ScriptedReplica, ScriptedReplica];
    const before = centerOf(run);
    leaver.push("gradient", vector(0.9));
    a.push("gradient", vector(0.3));
    await expect.poll(() => run.fixture.run.view().replicas[2]?.exchanges ?? 0).toBe(0);
    b.leave();
    await Promise.all([a.answered("gradient"), leaver.answered("gradient")]);
    expect(centerOf(run)).toBeCloseTo(before - 0.6, 5);
  });
  test("[G4] [S2] What is older than its round has the policy's factor for the difference", async () => {
    const run = await runOf("async-sgd", {
      groups: 1,
      batch: 10,
      learningRate: 1,
      shares: "equal",
      staleness: { kind: "scale", halfRateStaleness: 1 },
    });
    const [a, slow] = (await joined(run, 100, 100)) as [ScriptedReplica, ScriptedReplica];
    a.push("gradient", vector(0));
    await expect.poll(() => run.fixture.run.view().state).toBe("training");
    pass(run, 1000);
    await a.answered("gradient");
    const before = centerOf(run);
    slow.push("gradient", vector(0.4));
    a.push("gradient", vector(0.4));
    await Promise.all([slow.answered("gradient"), a.answered("gradient")]);
    // One version behind: half of the late gradient.
    expect(centerOf(run)).toBeCloseTo(before - (0.4 + 0.5 * 0.4) / 2, 5);
  });
  test("[G4] [S3] A push beyond the bound is refused alone, its group goes on", async () => {
    const run = await runOf("async-sgd", {
      groups: 1,
      batch: 10,
      learningRate: 1,
      shares: "equal",
      staleness: { kind: "bound", limit: 1 },
    });
    const [a, slow] = (await joined(run, 100, 100)) as [ScriptedReplica, ScriptedReplica];
    a.push("gradient", vector(0));
    await expect.poll(() => run.fixture.run.view().state).toBe("training");
    pass(run, 1000);
    await a.answered("gradient");
    a.push("gradient", vector(0));
    await a.answered("gradient");
    slow.push("gradient", vector(0.4));
    expect((await slow.refused()).header).toMatchObject({ code: "TOO_STALE", recovery: "restart", version: 2 });
    a.push("gradient", vector(0.1));
    expect((await a.answered("gradient")).header).toMatchObject({ version: 3, staleness: 0 });
    a.push("gradient", vector(0.1));
    slow.push("gradient", vector(0.3));
    const answers = await Promise.all([a.answered("gradient"), slow.answered("gradient")]);
    expect(answers.map(({ header }) => [header.version, header.staleness])).toEqual([
      [4, 0],
      [4, 1],
    ]);
  });
  test("[G4] A gradient that is refused does not stop its group", async () => {
    const run = await runOf("async-sgd", { groups: 1, learningRate: 1, shares: "equal" });
    const [a, broken] = (await joined(run, 100, 100)) as [ScriptedReplica, ScriptedReplica];
    broken.push("gradient", vector(Number.NaN));
    expect((await broken.refused()).header.code).toBe("NOT_FINITE");
    a.push("gradient", vector(0.1));
    await a.answered("gradient");
    expect(run.fixture.center.version).toBe(1);
  });
});

describe("Barriers", () => {
  test("[X15] A barrier waits for everybody who is connected, however long", async () => {
    const run = await runOf("sync-easgd", { communicationPeriod: 1 });
    const [a, slow] = (await joined(run, 100, 100)) as [ScriptedReplica, ScriptedReplica];
    a.push("parameters");
    expect(await a.isSilentFor(SILENCE_MS)).toBe(true);
    pass(run, LIMITS.leaseMs / 2);
    expect(await a.isSilentFor(SILENCE_MS)).toBe(true);
    slow.push("parameters");
    await Promise.all([a.answered("parameters"), slow.answered("parameters")]);
    expect(run.fixture.run.view().replicas[0]?.heldSeconds).toBeCloseTo(LIMITS.leaseMs / 2000, 3);
    expect(run.fixture.run.view().replicas[1]?.heldSeconds).toBe(0);
  });
  test("[X15] A lease that ends ends the waiting", async () => {
    const run = await runOf("diloco", { communicationPeriod: 1 });
    const [a] = (await joined(run, 100, 100)) as [ScriptedReplica, ScriptedReplica];
    run.fixture.nowMs += LIMITS.leaseMs - 1000;
    a.push("update");
    await expect.poll(() => run.fixture.run.view().state).toBe("training");
    pass(run, 2000);
    expect((await a.answered("update")).header.version).toBe(1);
  });
  test("[X15] Of one barrier all updates are of one version: an older one is too stale", async () => {
    const fixture = await RunFixture.create({ settings: { solver: "diloco" } });
    open.push(fixture);
    const a = await fixture.join();
    const b = await fixture.join();
    b.peer.cut();
    a.peer.send("push", pushHeader({ exchange: 1, baseVersion: 0, content: "update" }), vector(0.1));
    await a.peer.receive("answer");
    const { replica, token, incarnation } = b.welcome.header;
    const back = await fixture.join({ replica, token, incarnation });
    expect(back.welcome.header.resumed).toBe(true);
    back.peer.send("push", pushHeader({ exchange: 1, baseVersion: 0, content: "update" }), vector(0.1));
    expect((await back.peer.receive("refusal")).header).toMatchObject({ code: "TOO_STALE", exchange: 1 });
    expect(fixture.center.version).toBe(1);
  });
});

describe("Round robin", () => {
  test("[G6] Replica i + 1 counts only after replica i", async () => {
    const run = await runOf("original-easgd", { communicationPeriod: 1 });
    const replicas = await joined(run, 100, 100, 100);
    for (const replica of replicas.toReversed()) {
      replica.push("parameters");
      if (replica !== replicas[0]) expect(await replica.isSilentFor(SILENCE_MS)).toBe(true);
    }
    await Promise.all(replicas.map((replica) => replica.answered("parameters")));
    expect(run.fixture.ledger.map(({ replica }) => replica)).toEqual(["r1-1", "r1-2", "r1-3"]);
    expect(run.fixture.ledger.map(({ version }) => version)).toEqual([1, 2, 3]);
  });
  test("[G6] Whoever leaves is skipped", async () => {
    const run = await runOf("original-easgd", { communicationPeriod: 1 });
    const [a, b, c] = (await joined(run, 100, 100, 100)) as [ScriptedReplica, ScriptedReplica, ScriptedReplica];
    c.push("parameters");
    b.push("parameters");
    expect(await b.isSilentFor(SILENCE_MS)).toBe(true);
    a.leave();
    await Promise.all([b.answered("parameters"), c.answered("parameters")]);
    c.push("parameters");
    b.push("parameters");
    await Promise.all([b.answered("parameters"), c.answered("parameters")]);
    expect(run.fixture.ledger.map(({ replica }) => replica)).toEqual(["r1-2", "r1-3", "r1-2", "r1-3"]);
  });
  test("[G6] Whoever is overdue is passed over, and has its turn again when its push is there", async () => {
    const run = await runOf("original-easgd", { communicationPeriod: 1, batch: 10 });
    const [a, b] = (await joined(run, 100, 100)) as [ScriptedReplica, ScriptedReplica];
    b.push("parameters");
    await expect.poll(() => run.fixture.run.view().state).toBe("training");
    pass(run, 390);
    expect(await b.isSilentFor(SILENCE_MS)).toBe(true);
    pass(run, 20);
    await b.answered("parameters");
    a.push("parameters");
    expect((await a.answered("parameters")).header.version).toBe(2);
  });
});

describe("Changes while the run goes on", () => {
  test("[G7] Other groups: what was pushed counts at once, and the next assignments are the new groups'", async () => {
    const run = await runOf("async-msgd", { batch: 64, learningRate: 1, momentum: 0 }, 8);
    const replicas = await joined(run, 100, 100, 100, 100);
    const [a, b] = replicas as [ScriptedReplica, ScriptedReplica];
    a.push("gradient", vector(0.1));
    expect((await a.answered("gradient")).header.version).toBe(1);
    run.fixture.run.retune({ groups: 2, momentum: 0.3, learningRate: 0.5 });
    expect(run.fixture.run.view()).toMatchObject({
      groups: 2,
      hyperparameters: { groups: 2, momentum: 0.3, learningRate: 0.5 },
    });
    const before = centerOf(run);
    a.push("gradient", vector(0.1));
    expect(await a.isSilentFor(SILENCE_MS)).toBe(true);
    run.fixture.run.retune({ groups: 1 });
    await a.answered("gradient");
    expect(centerOf(run)).toBeCloseTo(before - 0.5 * 0.1, 5);
    expect(a.assignment).toMatchObject({ samples: 16, learningRate: 0.5 });
    for (const replica of replicas) replica.push("gradient", vector(0));
    await Promise.all(replicas.map((replica) => replica.answered("gradient")));
    run.fixture.run.retune({ groups: null });
    b.push("gradient", vector(0));
    expect((await b.answered("gradient")).header.assignment.samples).toBe(64);
    expect(run.fixture.run.view().groups).toBeNull();
  });
  test("[X16] Back to an earlier center: what is held and everybody's next push is refused RESTARTED, and the center is as it was", async () => {
    const run = await runOf("async-msgd", { groups: 1, learningRate: 1, momentum: 0.5 });
    const replicas = (await joined(run, 100, 100)) as [ScriptedReplica, ScriptedReplica];
    const exchangeAll = async (): Promise<void> => {
      for (const replica of replicas) replica.push("gradient", vector(0.1));
      await Promise.all(replicas.map((replica) => replica.answered("gradient")));
    };
    await exchangeAll();
    const good = run.fixture.run.snapshot();
    await exchangeAll();
    const [a, b] = replicas;
    a.push("gradient", vector(0.7));
    expect(await a.isSilentFor(SILENCE_MS)).toBe(true);
    await run.fixture.run.restart(good);
    expect((await a.refused()).header).toMatchObject({ code: "RESTARTED", recovery: "restart", version: 3 });
    expect(a.base).toEqual(good.parameters);
    b.push("gradient", vector(0.7));
    expect((await b.refused()).header).toMatchObject({ code: "RESTARTED", version: 3 });
    expect(run.fixture.center.snapshot()).toMatchObject({ parameters: good.parameters, velocity: good.velocity });
    const before = centerOf(run);
    for (const replica of replicas) replica.push("gradient", vector(0.2));
    await Promise.all(replicas.map((replica) => replica.answered("gradient")));
    expect(centerOf(run)).toBeCloseTo(before + 0.5 * (good.velocity[0] ?? 0) - 0.2, 5);
    expect(run.fixture.ledger.filter(({ verdict }) => verdict === "RESTARTED")).toHaveLength(2);
  });
});
