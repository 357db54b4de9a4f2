/** SPEC H, X, S and L through real sessions over the real worker-thread center. */

import { afterEach, describe, expect, test } from "vitest";
import { LIMITS, REFUSALS } from "../../shared/wire/codes.ts";
import { movedBy } from "../../shared/solver/rule.ts";
import {
  frameBytes,
  helloHeader,
  pushHeader,
  RunFixture,
  vectorOf,
  type FixtureOptions,
  type Peer,
} from "../support/run_fixture.ts";
import { TINY_LAYOUT } from "../support/tiny_run.ts";

let open: RunFixture[] = [];

async function fixture(options?: FixtureOptions): Promise<RunFixture> {
  const created = await RunFixture.create(options);
  open.push(created);
  return created;
}

afterEach(async () => {
  const closing = open;
  open = [];
  await Promise.all(closing.map((each) => each.close()));
  // Whatever a test does to a session is the peer's fault, never a failure of ours.
  expect(closing.flatMap((each) => each.failures)).toEqual([]);
});

const ELEMENTS = TINY_LAYOUT.elements;

function ramp(scale: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: ELEMENTS }, (_, index) => scale * ((index % 13) - 6));
}

function center(run: RunFixture): Float32Array {
  return run.center.snapshot().parameters;
}

/** x = base + payload in f32. */
function sum(base: Float32Array, payload: Float32Array): Float32Array {
  return base.map((value, index) => value + payload[index]!);
}

async function expectRefusal(peer: Peer, code: keyof typeof REFUSALS): Promise<void> {
  const refusal = await peer.receive("refusal");
  const rule: { closeCode?: number; sentence: string } = REFUSALS[code];
  expect(refusal.header).toMatchObject({ code, sentence: rule.sentence });
  expect(peer.closed?.code).toBe(rule.closeCode);
}

describe("Handshake", () => {
  test("[H1] Any first frame but a hello is out of turn", async () => {
    const run = await fixture();
    for (const name of ["pull", "leave"] as const) {
      const peer = run.connect();
      peer.send(name, {});
      await expectRefusal(peer, "OUT_OF_TURN");
    }
  });
  test("[H1] A second hello is out of turn", async () => {
    const run = await fixture();
    const { peer } = await run.join();
    peer.send("hello", helloHeader());
    await expectRefusal(peer, "OUT_OF_TURN");
  });
  test("[H1] A connection that says nothing is closed after ten seconds, not before", async () => {
    const run = await fixture();
    const peer = run.connect();
    run.nowMs = LIMITS.helloTimeoutMs;
    run.run.tick();
    expect(peer.closed).toBeUndefined();
    run.nowMs++;
    run.run.tick();
    await expectRefusal(peer, "HELLO_TIMEOUT");
  });
  test("[H3] The welcome brings id, token, incarnation, version and center", async () => {
    const run = await fixture({ version: 41, incarnation: 3 });
    const { welcome } = await run.join();
    expect(welcome.header).toMatchObject({
      replica: "r3-1",
      incarnation: 3,
      version: 41,
      resumed: false,
      lastExchange: 0,
    });
    expect(vectorOf(welcome)).toEqual(center(run));
  });
  test("[H4] Another parameter layout is refused", async () => {
    const run = await fixture();
    const peer = run.connect();
    peer.send("hello", { ...helloHeader(), layoutHash: "0123456789abcdef" });
    await expectRefusal(peer, "WRONG_LAYOUT");
    expect(run.run.view().replicas).toEqual([]);
  });
  test("[H5] A replica that reconnects within its lease resumes with its id, and its older connection is closed", async () => {
    const run = await fixture();
    const first = await run.join();
    const { replica, token, incarnation } = first.welcome.header;
    const second = await run.join({ replica, token, incarnation });
    expect(second.welcome.header).toMatchObject({ replica, resumed: true });
    expect(second.welcome.payload.byteLength).toBe(0);
    await expectRefusal(first.peer, "REPLACED");
    expect(run.run.view().replicas).toHaveLength(1);
  });
  test("[H6] After a restart a proven replica keeps its id though nothing on disk tells of it, and no newcomer gets that id", async () => {
    const before = await fixture({ incarnation: 1 });
    const { replica, token, incarnation } = (await before.join()).welcome.header;
    const run = await fixture({ incarnation: 2, version: 3 });
    const newcomer = await run.join();
    const { welcome } = await run.join({ replica, token, incarnation });
    expect(newcomer.welcome.header.replica).not.toBe(replica);
    expect(welcome.header).toMatchObject({ replica, incarnation: 2, resumed: false, version: 3 });
    expect(vectorOf(welcome)).toEqual(center(run));
  });
  test("[H5] A replica that returns on two connections at once is welcomed on the later one", async () => {
    const before = await fixture({ incarnation: 1 });
    const { replica, token, incarnation } = (await before.join()).welcome.header;
    const run = await fixture({ incarnation: 2 });
    const [first, second] = [run.connect(), run.connect()];
    for (const peer of [first, second]) peer.send("hello", helloHeader({ replica, token, incarnation }));
    await expectRefusal(first, "REPLACED");
    expect((await second.receive("welcome")).header).toMatchObject({ replica, resumed: false });
  });
  test("[H5] A wrong token makes a new replica", async () => {
    const run = await fixture();
    const { welcome } = await run.join();
    const { replica, incarnation } = welcome.header;
    const second = await run.join({ replica, token: "A".repeat(43), incarnation });
    expect(second.welcome.header).toMatchObject({ replica: "r1-2", resumed: false });
  });
  test("[H7] After its lease a silent replica has left and a returning one gets the center again", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join();
    const { replica, token, incarnation } = welcome.header;
    run.nowMs = LIMITS.leaseMs / 2;
    peer.send("heartbeat", { samplesPerSecond: 1, steps: 1 });
    run.nowMs = LIMITS.leaseMs + 1;
    run.run.tick();
    expect(peer.closed).toBeUndefined();
    run.nowMs += LIMITS.leaseMs;
    run.run.tick();
    await expectRefusal(peer, "LEASE_EXPIRED");
    const back = await run.join({ replica, token, incarnation });
    expect(back.welcome.header).toMatchObject({ replica, resumed: false });
    expect(back.welcome.payload.byteLength).toBe(4 * ELEMENTS);
  });
  test("[H7] A leave frees the place at once and keeps the contribution", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join();
    peer.send("push", pushHeader({ exchange: 1, baseVersion: welcome.header.version }), ramp(0.1));
    await peer.receive("answer");
    peer.send("leave", {});
    const [view] = run.run.view().replicas;
    expect(view).toMatchObject({ id: "r1-1", connected: false, applied: 1, samples: 640, share: 1 });
  });
});

describe("Exchange", () => {
  test("[X3] The center moves by the elastic difference, and the answer is the center that was used", async () => {
    const run = await fixture();
    const { peer, welcome } = await run.join();
    const before = center(run);
    const payload = ramp(0.03);
    peer.send("push", pushHeader({ exchange: 1, baseVersion: 0 }), payload);
    const answer = await peer.receive("answer");
    expect(answer.header).toMatchObject({ exchange: 1, version: 1, staleness: 0, pull: 0.25, repeated: false });
    expect(answer.header.assignment).toEqual(welcome.header.assignment);
    expect(vectorOf(answer)).toEqual(before);
    const sent = sum(vectorOf(welcome), payload);
    expect(center(run)).toEqual(before.map((value, index) => movedBy(value, sent[index]!, 0.25)));
  });
  test("[X1] A push while another is being answered is out of turn, and the first one counts", async () => {
    const run = await fixture();
    const { peer } = await run.join();
    peer.send("push", pushHeader({ exchange: 1, baseVersion: 0 }), ramp(0.1));
    peer.send("push", pushHeader({ exchange: 2, baseVersion: 0 }), ramp(0.2));
    await expectRefusal(peer, "OUT_OF_TURN");
    await expect.poll(() => run.ledger.filter((entry) => entry.verdict === "applied").length).toBe(1);
    expect(run.center.version).toBe(1);
  });
  test("[X1] A push before the last answer has left is out of turn", async () => {
    const run = await fixture();
    const { peer } = await run.join();
    peer.bufferedBytes = 1;
    peer.send("push", pushHeader({ exchange: 1, baseVersion: 0 }), ramp(0.1));
    await expectRefusal(peer, "OUT_OF_TURN");
    expect(run.center.version).toBe(0);
  });
  test("[X1] What was said after the last answer does not make a push out of turn, while it leaves", async () => {
    const run = await fixture();
    const { peer } = await run.join();
    peer.session.tell("signal", { peer: "r1-9", data: "hello" });
    peer.bufferedBytes = 60;
    peer.send("push", pushHeader({ exchange: 1, baseVersion: 0 }), ramp(0.1));
    await peer.receive("signal");
    await peer.receive("answer");
    peer.session.tell("signal", { peer: "r1-9", data: "hello" });
    peer.bufferedBytes = 60 + 4 * TINY_LAYOUT.elements;
    peer.send("push", pushHeader({ exchange: 2, baseVersion: 1 }), ramp(0.1));
    await peer.receive("signal");
    await expectRefusal(peer, "OUT_OF_TURN");
  });
  test("[X12] A retry gets the same answer again, byte for byte but for `repeated`, and nothing is applied twice", async () => {
    const run = await fixture();
    const first = await run.join();
    const bytes = frameBytes("push", pushHeader({ exchange: 1, baseVersion: 0 }), ramp(0.1));
    first.peer.sendBytes(bytes);
    const answer = await first.peer.receive("answer");
    first.peer.cut();
    const { replica, token, incarnation } = first.welcome.header;
    const { peer } = await run.join({ replica, token, incarnation });
    // Others move the center meanwhile; the retried answer is the old one.
    const other = await run.join();
    other.peer.send("push", pushHeader({ exchange: 1, baseVersion: other.welcome.header.version }), ramp(0.4));
    await other.peer.receive("answer");
    const after = center(run);
    peer.sendBytes(bytes);
    const again = await peer.receive("answer");
    expect(again.header).toEqual({ ...answer.header, repeated: true });
    expect(again.payload).toEqual(answer.payload);
    expect(center(run)).toEqual(after);
    expect(run.run.view()).toMatchObject({ applied: 2, repeated: 1, version: 2 });
  });
  test("[X12] A retry that overtakes its first try is answered once that is applied", async () => {
    const run = await fixture();
    const first = await run.join();
    const bytes = frameBytes("push", pushHeader({ exchange: 1, baseVersion: 0 }), ramp(0.1));
    first.peer.sendBytes(bytes);
    first.peer.cut();
    const { replica, token, incarnation } = first.welcome.header;
    const { peer } = await run.join({ replica, token, incarnation });
    peer.sendBytes(bytes);
    expect((await peer.receive("answer")).header).toMatchObject({ exchange: 1, version: 1 });
    expect(run.center.version).toBe(1);
  });
  test("[X12] A number below the last settled one is an old exchange", async () => {
    const run = await fixture();
    const { peer } = await run.join();
    for (const exchange of [1, 2]) {
      peer.send("push", pushHeader({ exchange, baseVersion: exchange - 1 }), ramp(0.1));
      await peer.receive("answer");
    }
    peer.send("push", pushHeader({ exchange: 1, baseVersion: 0 }), ramp(0.1));
    await expectRefusal(peer, "OLD_EXCHANGE");
    expect(run.center.version).toBe(2);
  });
  test("[X13] Another incarnation and an unknown base are refused with the center to re-base on, and the next push goes through", async () => {
    const run = await fixture({ incarnation: 2 });
    const { peer } = await run.join();
    const before = center(run);
    peer.send("push", pushHeader({ exchange: 1, incarnation: 1, baseVersion: 0 }), ramp(0.1));
    expect((await peer.receive("refusal")).header).toMatchObject({ code: "WRONG_INCARNATION", recovery: "rebase" });
    peer.send("push", pushHeader({ exchange: 1, incarnation: 2, baseVersion: 99 }), ramp(0.1));
    const refusal = await peer.receive("refusal");
    expect(refusal.header).toMatchObject({ code: "UNKNOWN_BASE", recovery: "rebase", version: 0, incarnation: 2 });
    expect(vectorOf(refusal)).toEqual(before);
    expect(center(run)).toEqual(before);
    peer.send("push", pushHeader({ exchange: 1, incarnation: 2, baseVersion: refusal.header.version }), ramp(0.1));
    expect((await peer.receive("answer")).header.version).toBe(1);
  });
  test("[X10] Two round trips: a pull brings the center, the pushed difference is added, the answer has no payload", async () => {
    const run = await fixture({ settings: { exchange: "two-round-trip" } });
    const { peer } = await run.join();
    peer.send("pull", {});
    const pulled = await peer.receive("center");
    expect(vectorOf(pulled)).toEqual(center(run));
    const difference = ramp(0.01);
    peer.send(
      "push",
      pushHeader({ exchange: 1, baseVersion: pulled.header.version, content: "difference" }),
      difference,
    );
    const answer = await peer.receive("answer");
    expect(answer.payload.byteLength).toBe(0);
    expect(center(run)).toEqual(sum(vectorOf(pulled), difference));
  });
  test("[T5] A pull that is repeated by another link while it is served is answered once, there", async () => {
    const run = await fixture({ settings: { exchange: "two-round-trip" } });
    const { peer } = await run.join();
    const sent: Uint8Array[] = [];
    const send = (head: Uint8Array, ...payload: readonly Uint8Array[]): void => {
      sent.push(Buffer.concat([head, ...payload]));
    };
    const other = { isOpen: true, bufferedBytes: 0, send, close: () => {} };
    peer.session.receive(frameBytes("pull", {}), other);
    peer.send("pull", {});
    expect((await peer.receive("center")).payload.byteLength).toBe(4 * ELEMENTS);
    expect(sent).toEqual([]);
    expect(peer.closed).toBeUndefined();
  });

  test("[X14] The ledger has the line before the answer is there, refusals included", async () => {
    const run = await fixture();
    const { peer } = await run.join();
    peer.send("push", pushHeader({ exchange: 1, baseVersion: 0 }), ramp(0.1));
    await peer.receive("answer");
    expect(run.ledger).toHaveLength(1);
    expect(run.ledger[0]).toMatchObject({
      replica: "r1-1",
      exchange: 1,
      verdict: "applied",
      staleness: 0,
      version: 1,
      samples: 640,
      incarnation: 1,
    });
    peer.send("push", pushHeader({ exchange: 2, baseVersion: 1 }), ramp(Number.NaN));
    await peer.receive("refusal");
    expect(run.ledger[1]).toMatchObject({ exchange: 2, verdict: "NOT_FINITE", version: 1 });
  });
  test("[X15] sync-sgd: all wait for the last gradient, and are answered with one step of the mean", async () => {
    const run = await fixture({ settings: { solver: "sync-sgd" }, rule: { learningRate: 0.5 } });
    const peers = [(await run.join()).peer, (await run.join()).peer];
    const before = center(run);
    const gradients = [ramp(0.1), ramp(0.3)];
    const header = pushHeader({ exchange: 1, baseVersion: 0, content: "gradient" });
    peers[0]!.send("push", header, gradients[0]);
    await expect.poll(() => run.run.view().exchanges + run.center.version).toBe(0);
    peers[1]!.send("push", header, gradients[1]);
    const answers = await Promise.all(peers.map((peer) => peer.receive("answer")));
    const after = center(run);
    after.forEach((value, index) => {
      expect(value).toBeCloseTo(before[index]! - 0.5 * ((gradients[0]![index]! + gradients[1]![index]!) / 2), 6);
    });
    for (const answer of answers) {
      expect(answer.header).toMatchObject({ version: 1, staleness: 0 });
      expect(vectorOf(answer)).toEqual(after);
    }
  });
  test("[X15] sync-sgd: a member that leaves does not stop its round, and a late gradient is too stale", async () => {
    const run = await fixture({ settings: { solver: "sync-sgd" } });
    const peers = [(await run.join()).peer, (await run.join()).peer, (await run.join()).peer];
    const header = pushHeader({ exchange: 1, baseVersion: 0, content: "gradient" });
    peers[0]!.send("push", header, ramp(0.1));
    peers[2]!.cut();
    peers[1]!.send("push", header, ramp(0.1));
    await Promise.all([peers[0]!.receive("answer"), peers[1]!.receive("answer")]);
    const late = await run.join();
    late.peer.send("push", header, ramp(0.1));
    expect((await late.peer.receive("refusal")).header.code).toBe("UNKNOWN_BASE");
    expect(run.center.version).toBe(1);
  });
});

describe("Staleness", () => {
  test("[S1] What others applied between a replica's answer and its next push is its staleness", async () => {
    const run = await fixture();
    const slow = await run.join();
    const fast = await run.join();
    for (let exchange = 1; exchange <= 3; exchange++) {
      fast.peer.send("push", pushHeader({ exchange, baseVersion: exchange - 1 }), ramp(0.1));
      expect((await fast.peer.receive("answer")).header.staleness).toBe(0);
    }
    slow.peer.send("push", pushHeader({ exchange: 1, baseVersion: 0 }), ramp(0.1));
    expect((await slow.peer.receive("answer")).header).toMatchObject({ staleness: 3, version: 4 });
    expect(run.run.view().staleness).toMatchObject({ mean: 0.75, max: 3, counts: [3, 0, 0, 1] });
  });
  test("[S2] Under scale the answer names the smaller rate, and the center moved by it", async () => {
    const run = await fixture({ rule: { staleness: { kind: "scale", halfRateStaleness: 1 }, movingRate: 0.5 } });
    const slow = await run.join();
    const fast = await run.join();
    fast.peer.send("push", pushHeader({ exchange: 1, baseVersion: 0 }), ramp(0));
    await fast.peer.receive("answer");
    const before = center(run);
    const payload = ramp(0.2);
    slow.peer.send("push", pushHeader({ exchange: 1, baseVersion: 0 }), payload);
    expect((await slow.peer.receive("answer")).header).toMatchObject({ staleness: 1, pull: 0.25 });
    const sent = sum(vectorOf(slow.welcome), payload);
    expect(center(run)).toEqual(before.map((value, index) => movedBy(value, sent[index]!, 0.25)));
  });
  test("[S3] Under bound a push beyond the limit is refused, the center stays bit for bit, and the replica restarts from it", async () => {
    const run = await fixture({ rule: { staleness: { kind: "bound", limit: 0 } } });
    const slow = await run.join();
    const fast = await run.join();
    fast.peer.send("push", pushHeader({ exchange: 1, baseVersion: 0 }), ramp(0.1));
    await fast.peer.receive("answer");
    const before = center(run);
    slow.peer.send("push", pushHeader({ exchange: 1, baseVersion: 0 }), ramp(0.1));
    const refusal = await slow.peer.receive("refusal");
    expect(refusal.header).toMatchObject({ code: "TOO_STALE", recovery: "restart", exchange: 1, version: 1 });
    expect(vectorOf(refusal)).toEqual(before);
    expect(center(run)).toEqual(before);
    slow.peer.send("push", pushHeader({ exchange: 2, baseVersion: 1 }), ramp(0.1));
    expect((await slow.peer.receive("answer")).header.staleness).toBe(0);
  });
});

describe("Limits", () => {
  const poisons: [string, number, "NOT_FINITE" | "OUT_OF_BOUNDS"][] = [
    ["a NaN", Number.NaN, "NOT_FINITE"],
    ["an infinity", Number.NEGATIVE_INFINITY, "NOT_FINITE"],
    ["a value beyond the bound", 2 * LIMITS.parameterMagnitude, "OUT_OF_BOUNDS"],
  ];
  test.each(poisons)(
    "[L3] %s at either end of a push refuses it, the center stays bit for bit",
    async (_, poison, code) => {
      const run = await fixture();
      const { peer } = await run.join();
      const before = center(run);
      let exchange = 0;
      for (const at of [0, 63, ELEMENTS - 1]) {
        const payload = ramp(0.1);
        payload[at] = poison;
        peer.send("push", pushHeader({ exchange: ++exchange, baseVersion: 0 }), payload);
        const refusal = await peer.receive("refusal");
        expect(refusal.header).toMatchObject({ code, recovery: "restart", exchange });
        expect(center(run)).toEqual(before);
      }
      expect(run.run.view()).toMatchObject({ applied: 0, refused: 3, refusals: { [code]: 3 }, version: 0 });
    },
  );
  test("[L1] Every refusal has a sentence, and close codes are in the application's range and distinct", () => {
    const codes = Object.values(REFUSALS).flatMap((rule) => ("closeCode" in rule ? [rule.closeCode] : []));
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes.every((code) => code >= 4000 && code <= 4999)).toBe(true);
    for (const rule of Object.values(REFUSALS)) expect(rule.sentence).toMatch(/^[A-Z].*\.$/);
  });
  test("[L1] Garbage closes its connection by name, is counted, and the others train on", async () => {
    const run = await fixture();
    const honest = await run.join();
    const vandal = run.connect();
    vandal.sendBytes(new Uint8Array([0xc1]));
    await expectRefusal(vandal, "FRAME_TOO_SHORT");
    honest.peer.send("push", pushHeader({ exchange: 1, baseVersion: 0 }), ramp(0.1));
    await honest.peer.receive("answer");
    expect(run.run.view().refusals).toEqual({ FRAME_TOO_SHORT: 1 });
  });
  test("[L2] Frames faster than the budget are refused, and the budget comes back with time", async () => {
    const run = await fixture();
    const { peer } = await run.join();
    for (let sent = 1; sent < LIMITS.frameBurst; sent++) peer.send("heartbeat", { samplesPerSecond: 1, steps: 1 });
    expect(peer.closed).toBeUndefined();
    run.nowMs += 1000;
    for (let sent = 0; sent < LIMITS.framesPerSecond; sent++) peer.send("heartbeat", { samplesPerSecond: 1, steps: 1 });
    expect(peer.closed).toBeUndefined();
    peer.send("heartbeat", { samplesPerSecond: 1, steps: 1 });
    await expectRefusal(peer, "TOO_FAST");
  });
  test("A finished run tells its replicas, and refuses newcomers and late pushes", async () => {
    const run = await fixture();
    const { peer } = await run.join();
    run.run.finish("reached", "98 % reached");
    expect((await peer.receive("finished")).header.reason).toBe("98 % reached");
    expect(peer.closed?.code).toBe(1000);
    const late = run.connect();
    late.send("hello", helloHeader());
    await expectRefusal(late, "RUN_OVER");
  });
});
