/** SPEC T6: pushes whose slices come in any order, twice, too late, never, or from nowhere, through a real run and center. */

import { afterEach, describe, expect, test } from "vitest";
import { layoutOf } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";
import { CODEC_NAMES, type CodecName } from "../../shared/wire/codec/codec.ts";
import { encodeSlice, slicePlanOf, sliceRange, type SlicePlan } from "../../shared/wire/slices.ts";
import { metricsText } from "../../coordinator/server/metrics_page.ts";
import { CodecReplica, type MadePush } from "../support/codec_replica.ts";
import { RunFixture, type FixtureOptions, type Peer } from "../support/run_fixture.ts";

/** 3,920 weights: 31 blocks, which make four slices of f32, and two of int8. */
const LAYOUT = layoutOf({
  name: "wide",
  input: { height: 14, width: 14, channels: 1 },
  classes: 20,
  layers: [{ kind: "dense", name: "fc", units: 20 }],
});
const ALPHA = 0.5;
const GRACE_MS = 150;
const NOTHING = new Uint8Array(0);

let open: RunFixture[] = [];

afterEach(async () => {
  for (const fixture of open.splice(0)) {
    await fixture.close();
    expect(fixture.failures).toEqual([]);
  }
  open = [];
});

interface Joined {
  readonly fixture: RunFixture;
  readonly peer: Peer;
  readonly replica: CodecReplica;
  readonly plan: SlicePlan;
}

async function joined(codec: CodecName, options: FixtureOptions = {}): Promise<Joined> {
  const fixture = await RunFixture.create({
    layout: LAYOUT,
    applier: "locked",
    ...options,
    settings: { codecUp: codec, transport: "webrtc", lossy: true, ...options.settings },
    rule: { movingRate: ALPHA },
  });
  open.push(fixture);
  const { peer, welcome } = await fixture.join(undefined, 1, { codecs: CODEC_NAMES });
  const replica = new CodecReplica(LAYOUT.elements, "parameters");
  replica.welcomed(welcome);
  return { fixture, peer, replica, plan: slicePlanOf(codec, LAYOUT.elements) };
}

function pushed({ replica, plan }: Joined, random: Random): { readonly made: MadePush; readonly slices: Uint8Array[] } {
  replica.parameters = replica.parameters.map((x) => x + 0.1 * random.normal());
  const made = replica.push();
  const slices = Array.from({ length: plan.slices }, (_, index) =>
    encodeSlice(plan, made.header.exchange, index, made.payload),
  );
  return { made: { ...made, header: { ...made.header, slices: plan.slices } }, slices };
}

/** The center after the push of which only `came` came, in double precision. */
function movedIn(before: Float32Array, { meant }: MadePush, plan: SlicePlan, came: readonly number[]): number[] {
  const wanted = Array.from(before);
  for (const index of came) {
    const { fromElement, toElement } = sliceRange(plan, index);
    for (let k = fromElement; k < toElement; k++) wanted[k]! += ALPHA * (meant[k]! - before[k]!);
  }
  return wanted;
}

function expectClose(found: Float32Array, wanted: readonly number[]): void {
  for (const [at, value] of wanted.entries()) {
    if (!(Math.abs(found[at]! - value) < 2e-6)) expect.fail(`element ${at}: ${found[at]} instead of ${value}`);
  }
}

const centerOf = ({ fixture }: Joined): Float32Array => fixture.center.snapshot().parameters;

describe.each(["f32", "int8"] as const)("Slices of %s", (codec) => {
  test("[T6] In any order, twice, and before the header or after it: all of it counts, once, without a wait", async () => {
    const run = await joined(codec);
    const random = new Random(1);
    for (let exchange = 1; exchange <= 4; exchange++) {
      const { made, slices } = pushed(run, random);
      const before = centerOf(run);
      const order = slices.toReversed();
      const isFirst = exchange % 2 === 1;
      if (isFirst) for (const slice of [...order, ...order]) run.peer.session.slice(slice);
      run.peer.send("push", made.header, NOTHING);
      if (!isFirst) for (const slice of [...order, ...order]) run.peer.session.slice(slice);
      const answer = await run.peer.receive("answer");
      expect(answer.header.lost).toBeUndefined();
      run.replica.answered(answer);
      expectClose(centerOf(run), movedIn(before, made, run.plan, [...slices.keys()]));
      expect(run.fixture.center.version).toBe(exchange);
    }
  });

  test("[T6] What has not come after a while is lost: the rest is applied, the answer says what was not, and it is sent again with the next", async () => {
    const run = await joined(codec);
    const random = new Random(2);
    const before = centerOf(run);
    const { made, slices } = pushed(run, random);
    slices.slice(1).forEach((slice) => run.peer.session.slice(slice));
    run.peer.send("push", made.header, NOTHING);
    run.fixture.nowMs += GRACE_MS - 1;
    run.fixture.run.tick();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(run.fixture.center.version).toBe(0);
    run.fixture.nowMs += 1;
    run.fixture.run.tick();
    const answer = await run.peer.receive("answer");
    expect(answer.header).toMatchObject({ exchange: 1, lost: [0] });
    const came = Array.from({ length: run.plan.slices - 1 }, (_, at) => at + 1);
    expectClose(centerOf(run), movedIn(before, made, run.plan, came));
    // Too late.
    run.peer.session.slice(slices[0]!);
    const mine = run.replica.parameters.slice();
    run.replica.answered(answer);
    const { toElement } = sliceRange(run.plan, 0);
    expect([...run.replica.parameters.subarray(0, toElement)]).toEqual([...mine.subarray(0, toElement)]);
    // Both sides have the same base everywhere: what was lost comes whole in the next push.
    const next = pushed(run, random);
    const between = centerOf(run);
    for (const slice of next.slices) run.peer.session.slice(slice);
    run.peer.send("push", next.made.header, NOTHING);
    run.replica.answered(await run.peer.receive("answer"));
    expectClose(centerOf(run), movedIn(between, next.made, run.plan, [...next.slices.keys()]));
    const view = run.fixture.run.view();
    expect(view).toMatchObject({ slices: 2 * run.plan.slices, slicesLost: 1, lossRate: 1 / (2 * run.plan.slices) });
    expect(view.replicas[0]?.sliceLossRate).toBe(view.lossRate);
    const { text } = await metricsText({ view, checkpointAgeSeconds: null });
    expect(text).toContain(`drove_slices_total ${2 * run.plan.slices}\n`);
    expect(text).toContain("drove_slices_lost_total 1\n");
  });

  test("[T6] While slices come they are waited for, but not for ever", async () => {
    const run = await joined(codec);
    const { made, slices } = pushed(run, new Random(9));
    const pass = async (ms: number): Promise<void> => {
      run.fixture.nowMs += ms;
      run.fixture.run.tick();
      await new Promise((resolve) => setTimeout(resolve, 10));
    };
    run.peer.send("push", made.header, NOTHING);
    await pass(GRACE_MS - 1);
    run.peer.session.slice(slices[0]!);
    await pass(GRACE_MS - 1);
    // One that has come already says nothing of others.
    run.peer.session.slice(slices[0]!);
    expect(run.fixture.center.version).toBe(0);
    await pass(1);
    const answer = await run.peer.receive("answer");
    expect(answer.header.lost).toEqual([...slices.keys()].slice(1));
    run.replica.answered(answer);
    // A slice now and then, from somebody who never sends the last one.
    const next = pushed(run, new Random(10));
    run.peer.send("push", next.made.header, NOTHING);
    await pass(0);
    for (let index = 1; index < next.slices.length; index++) {
      run.peer.session.slice(next.slices[index]!);
      await pass(GRACE_MS - 1);
    }
    expect(run.fixture.center.version).toBe(1);
    await pass(3000);
    expect((await run.peer.receive("answer")).header.lost).toEqual([0]);
  });

  test("[T6] A push of which nothing came moves nothing, and the replica goes on", async () => {
    const run = await joined(codec);
    const random = new Random(3);
    const before = centerOf(run);
    const { made, slices } = pushed(run, random);
    run.peer.send("push", made.header, NOTHING);
    await new Promise((resolve) => setTimeout(resolve, 10));
    run.fixture.nowMs += GRACE_MS;
    run.fixture.run.tick();
    const answer = await run.peer.receive("answer");
    expect(answer.header.lost).toEqual([...slices.keys()]);
    expect(centerOf(run)).toEqual(before);
    run.replica.answered(answer);
    const next = pushed(run, random);
    for (const slice of next.slices) run.peer.session.slice(slice);
    run.peer.send("push", next.made.header, NOTHING);
    expect((await run.peer.receive("answer")).header.lost).toBeUndefined();
    expectClose(centerOf(run), movedIn(before, next.made, run.plan, [...slices.keys()]));
  });
});

test("[T6] [F6] Foreign and malformed slices, and those of other exchanges, change nothing", async () => {
  const run = await joined("int8");
  const random = new Random(4);
  const garbage = (): void => {
    for (let count = 0; count < 200; count++) {
      const noise = Uint8Array.from({ length: random.below(1200) }, () => random.below(256));
      run.peer.session.slice(noise);
      const old = encodeSlice(
        run.plan,
        random.below(3) === 0 ? 0 : 2 ** 32 - 1 - random.below(9),
        0,
        new Uint8Array(9e3),
      );
      run.peer.session.slice(old);
      old[8] = 255;
      run.peer.session.slice(old);
      run.peer.session.slice(old.subarray(0, 20));
    }
  };
  for (let exchange = 1; exchange <= 3; exchange++) {
    const { made, slices } = pushed(run, random);
    const before = centerOf(run);
    garbage();
    for (const slice of slices) {
      run.peer.session.slice(slice);
      garbage();
    }
    run.peer.send("push", made.header, NOTHING);
    const answer = await run.peer.receive("answer");
    expect(answer.header.lost).toBeUndefined();
    run.replica.answered(answer);
    expectClose(centerOf(run), movedIn(before, made, run.plan, [...slices.keys()]));
  }
});

test("[T6] [X12] A header that comes again gets the same answer, with the same losses; so does a whole push in its place", async () => {
  const run = await joined("int8");
  const { made, slices } = pushed(run, new Random(5));
  run.peer.session.slice(slices[1]!);
  run.peer.send("push", made.header, NOTHING);
  await new Promise((resolve) => setTimeout(resolve, 10));
  run.fixture.nowMs += GRACE_MS;
  run.fixture.run.tick();
  const first = await run.peer.receive("answer");
  const { slices: _, ...whole } = made.header;
  for (const [header, payload] of [
    [made.header, NOTHING],
    [whole, made.payload],
  ] as const) {
    for (const slice of slices) run.peer.session.slice(slice);
    run.peer.send("push", header, payload);
    const again = await run.peer.receive("answer");
    expect(again.header).toEqual({ ...first.header, repeated: true });
    expect(again.payload).toEqual(first.payload);
  }
  expect(run.fixture.center.version).toBe(1);
  // And a whole push is as good as slices from the beginning.
  run.replica.answered(first);
  run.replica.parameters = run.replica.parameters.map((x) => x + 0.1);
  const before = centerOf(run);
  const next = run.replica.push();
  run.peer.send("push", next.header, next.payload);
  expect((await run.peer.receive("answer")).header.lost).toBeUndefined();
  expectClose(centerOf(run), movedIn(before, next, run.plan, [...slices.keys()]));
});

test("[T6] Another number of slices than the plan's, or slices in a run without them, end the connection", async () => {
  const run = await joined("int8");
  const { made } = pushed(run, new Random(6));
  run.peer.send("push", { ...made.header, slices: run.plan.slices + 1 }, NOTHING);
  expect((await run.peer.receive("refusal")).header.code).toBe("BAD_HEADER");
  expect(run.peer.closed?.code).toBe(4405);
  const plain = await joined("int8", { settings: { lossy: false } });
  const push = pushed(plain, new Random(6));
  for (const slice of push.slices) plain.peer.session.slice(slice);
  plain.peer.send("push", push.made.header, NOTHING);
  expect((await plain.peer.receive("refusal")).header.code).toBe("BAD_HEADER");
  expect(plain.fixture.center.version).toBe(0);
});

test("[T6] [X18] Lossy up and a stream down: what was lost counts as not sent, and the base is the published version", async () => {
  const run = await joined("int4", { settings: { codecDown: "int8" } });
  const random = new Random(7);
  for (let exchange = 1; exchange <= 6; exchange++) {
    const { made, slices } = pushed(run, random);
    const lost = random.below(slices.length);
    const before = centerOf(run);
    slices.forEach((slice, index) => index !== lost && run.peer.session.slice(slice));
    run.peer.send("push", made.header, NOTHING);
    await new Promise((resolve) => setTimeout(resolve, 5));
    run.fixture.nowMs += GRACE_MS;
    run.fixture.run.tick();
    const answer = await run.peer.receive("answer");
    expect(answer.header.lost).toEqual([lost]);
    run.replica.answered(answer);
    expectClose(
      centerOf(run),
      movedIn(
        before,
        made,
        run.plan,
        [...slices.keys()].filter((index) => index !== lost),
      ),
    );
    const published = run.fixture.center.versions.at(answer.header.version);
    expect(run.replica.base).toEqual(new Float32Array(published!.values().slice().buffer));
  }
});

test("[T6] A run that ends does not wait for slices", async () => {
  const run = await joined("int8");
  const { made } = pushed(run, new Random(8));
  run.peer.send("push", made.header, NOTHING);
  await new Promise((resolve) => setTimeout(resolve, 10));
  run.fixture.run.finish("stopped", "The test is over.");
  await run.fixture.run.settled();
  expect(run.fixture.ledger).toHaveLength(1);
});
