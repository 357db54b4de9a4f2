/** SPEC T6 and T5 from the replica's side: pushes of which some does not arrive, and paths that are given up. */

import { describe, expect, test } from "vitest";
import { lostFragments, slicedPush } from "../../client/replica/lossy_push.ts";
import { Exchange } from "../../client/replica/exchange.ts";
import { CODEC_NAMES, wholeOf, type Fragment } from "../../shared/wire/codec/codec.ts";
import { decode, encode } from "../../shared/wire/codec/naive.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { decodeSlice, slicePlanOf, sliceRange } from "../../shared/wire/slices.ts";
import type { OpenPeer } from "../../client/replica/peer_port.ts";
import type { ChannelEvents, ChannelKind } from "../../shared/wire/channel.ts";
import { QuadraticProgram } from "../support/quadratic_program.ts";
import { BLOCKS_MODEL, filled, ReplicaStage, TAU } from "../support/replica_stage.ts";

const ELEMENTS = 5000;
/** 2,560 elements: 20 blocks, and 5 slices of f16. */
const BIG_MODEL = { ...BLOCKS_MODEL, classes: 500, layers: [{ kind: "dense", name: "fc", units: 500 }] } as const;

function inFlightOf(codec: (typeof CODEC_NAMES)[number]): ReturnType<Exchange["begin"]> {
  const exchange = new Exchange(ELEMENTS, 1);
  exchange.rejoin({ version: 3, incarnation: 1 }, 41);
  const values = Float32Array.from({ length: ELEMENTS }, (_, index) => (index % 100) / 64);
  const work = { steps: 1, samples: 4, lossSum: 2 };
  return exchange.begin({ content: "parameters", codec, payload: encode(codec, values), work }, false);
}

describe("A push in slices", () => {
  for (const codec of CODEC_NAMES) {
    test(`[T6] Every slice of ${codec} stands for its own blocks, and the header tells how many there are`, () => {
      const inFlight = inFlightOf(codec);
      const { header, slices } = slicedPush(inFlight, ELEMENTS);
      expect(header).toEqual({ ...inFlight.header, exchange: 42, slices: slices.length });
      const plan = slicePlanOf(codec, ELEMENTS);
      const whole = decode(codec, inFlight.payload, ELEMENTS);
      const covered = new Set<number>();
      for (const message of slices) {
        const slice = decodeSlice(plan, message)!;
        expect(slice.exchange).toBe(42);
        const { fromElement, toElement } = sliceRange(plan, slice.index);
        expect(decode(codec, slice.payload, toElement - fromElement)).toEqual(whole.slice(fromElement, toElement));
        for (let element = fromElement; element < toElement; element++) covered.add(element);
      }
      expect(covered.size).toBe(ELEMENTS);
    });
  }

  test("[T6] The parts that were lost are those of the named slices; a number that no slice has means nothing", () => {
    const inFlight = inFlightOf("int8");
    const plan = slicePlanOf("int8", ELEMENTS);
    expect(plan.slices).toBeGreaterThan(2);
    expect(lostFragments(inFlight, [1, plan.slices, LIMITS.lossyParts], ELEMENTS)).toEqual([sliceRange(plan, 1)]);
  });
});

test("[T6] [C3] What was lost counts as not sent: it stays in the parameters, and the next difference has it again", async () => {
  const program = new QuadraticProgram(BLOCKS_MODEL, 20);
  const { elements } = program.plan.layout;
  const whole = wholeOf(elements);
  program.parameters.fill(0.5);
  await program.takeEncoded({ what: "difference", codec: "f16", fragment: whole });
  const lost = { fromElement: 128, toElement: 256 };
  program.unsend(lost);
  program.settleOnto({ kind: "values", fragment: whole, values: new Float32Array(elements).fill(0.25) }, 1);
  const isLost = (element: number): boolean => element >= lost.fromElement && element < lost.toElement;
  // An update: it goes on from the new center, and what was not sent is still on top of it.
  expect(program.parameters).toEqual(
    Float32Array.from({ length: elements }, (_, element) => (isLost(element) ? 0.75 : 0.25)),
  );
  const next = await program.takeEncoded({ what: "difference", codec: "f16", fragment: whole });
  expect(decode("f16", next.payload, elements)).toEqual(
    Float32Array.from({ length: elements }, (_, element) => (isLost(element) ? 0.5 : 0)),
  );
});

/** A peer connection whose other end is the test: it answers whoever looks for it, and keeps the slices. */
class FakePeer {
  readonly slices: Uint8Array[] = [];
  readonly #events = new Map<ChannelKind, ChannelEvents>();

  readonly open: OpenPeer = () => ({
    signal: () => {},
    close: () => {},
    channel: (kind, events) => {
      this.#events.set(kind, events);
      const send = (message: Uint8Array | string): void => {
        if (message === "ping") queueMicrotask(() => events.received("pong"));
        else if (kind === "lossy" && typeof message !== "string") this.slices.push(message);
      };
      return { isOpen: true, bufferedBytes: 0, send, close: () => {} };
    },
  });

  fail(): void {
    this.#events.get("reliable")?.closed("the network changed");
  }
}

async function joinedLossy(
  settings: ConstructorParameters<typeof ReplicaStage>[0] = {},
): Promise<{ readonly stage: ReplicaStage; readonly peer: FakePeer }> {
  const peer = new FakePeer();
  const codecs = { up: "f16", down: "f32" } as const;
  const model = BIG_MODEL;
  const stage = new ReplicaStage(
    { transport: "webrtc", lossy: true, ...settings },
    { codecs, model, openPeer: peer.open },
  );
  await stage.join(filled(0, stage.vectors));
  while (stage.pair.toFar.length === 0) {
    await stage.clock.advance(100);
    await stage.turn();
  }
  expect(stage.receive("route").header).toEqual({ transport: "webrtc-lossy" });
  return { stage, peer };
}

describe("A replica on a lossy path", () => {
  test("[T6] sends slices, then the header without a payload; what was lost is not pulled", async () => {
    const { stage, peer } = await joinedLossy();
    const push = await stage.nextPush();
    const plan = slicePlanOf("f16", stage.vectors.elements);
    expect(plan.slices).toBeGreaterThan(2);
    expect(push.header).toMatchObject({ exchange: 1, slices: plan.slices });
    expect(push.payload.byteLength).toBe(0);
    const indices = peer.slices.map((message) => decodeSlice(plan, message)?.index);
    expect(indices).toEqual([...Array.from({ length: plan.slices }).keys()]);
    stage.assignment = { ...stage.assignment, learningRate: 0 };
    const [parameters, sent] = [stage.program.parameters.slice(), stage.program.sent.slice()];
    const lost = sliceRange(plan, 1);
    await stage.answer(1, filled(0.25, stage.vectors), { lost: [1, 999], pull: 0.5 });
    await stage.turn();
    const expected = parameters.map((value, element) => {
      const isLost = element >= lost.fromElement && element < lost.toElement;
      return value - 0.5 * ((isLost ? 0 : sent[element]!) - 0.25);
    });
    expect(stage.program.parameters).toEqual(expected);
    expect(stage.program.base).toEqual(filled(0.25, stage.vectors));
  });

  test("[T5] [X12] repeats the push over the WebSocket, whole and as it was encoded, when the path fails", async () => {
    const { stage, peer } = await joinedLossy();
    const push = await stage.nextPush();
    const said = peer.slices.flatMap((message) => [...message.subarray(16)]);
    await stage.trainTo(stage.program.steps + TAU);
    peer.fail();
    await stage.turn();
    expect(stage.receive("route").header).toEqual({ transport: "websocket" });
    const again = stage.receive("push");
    const { slices: _, ...header } = push.header;
    expect(again.header).toEqual(header);
    expect([...again.payload]).toEqual(said);
    // The coordinator may have had the slices already: its answer is the one to them.
    const unsent: Fragment[] = [];
    stage.program.unsend = (fragment) => unsent.push(fragment);
    await stage.answer(1, filled(0.25, stage.vectors), { lost: [0] });
    await stage.turn();
    expect(unsent).toEqual([sliceRange(slicePlanOf("f16", stage.vectors.elements), 0)]);
  });

  test("[T6] takes the center that a gradient of which some was lost brought about", async () => {
    const { stage } = await joinedLossy({ solver: "async-sgd" });
    const push = await stage.nextPush();
    expect(push.header).toMatchObject({ content: "gradient" });
    await stage.answer(1, filled(0.25, stage.vectors), { lost: [0, 1], pull: 1 });
    expect(stage.program.parameters).toEqual(filled(0.25, stage.vectors));
  });
});
