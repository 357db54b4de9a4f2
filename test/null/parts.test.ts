/** Frames in parts: what comes out is what went in, whatever the cuts; what breaks the rules is refused by name. */

import { describe, expect, test } from "vitest";
import { Random } from "../../shared/random.ts";
import { ChannelLink } from "../../shared/wire/channel_link.ts";
import type { RefusalCode } from "../../shared/wire/codes.ts";
import { encodeHead } from "../../shared/wire/frame.ts";
import { PART_BYTES, PartJoiner, partsOf } from "../../shared/wire/parts.ts";
import { ChannelPair, type ChannelEnd } from "../support/channel_pair.ts";

const LONGEST_PAYLOAD_BYTES = 5_000_000;

function frameOf(payloadBytes: number, seed: number): readonly [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>] {
  const random = new Random(seed);
  const payload = Uint8Array.from({ length: payloadBytes }, () => random.below(256));
  return [encodeHead(3, { exchange: seed, text: "x".repeat(random.below(200)) }, payloadBytes), payload];
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}

describe("Parts", () => {
  test("[T4] A frame of any length comes out of its parts as it went in, and no part is longer than 64 KiB or a copy", () => {
    const joiner = new PartJoiner(LONGEST_PAYLOAD_BYTES);
    const edges = [0, 1, 15, 16, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, 1_700_000];
    for (const [seed, bytes] of edges.entries()) {
      const pieces = frameOf(bytes, seed);
      const frames: Uint8Array[] = [];
      for (const part of partsOf(pieces)) {
        expect(part.byteLength).toBeLessThanOrEqual(PART_BYTES);
        expect(pieces.map(({ buffer }) => buffer)).toContain(part.buffer);
        const taken = joiner.take(part.slice());
        if (taken instanceof Uint8Array) frames.push(taken);
        else expect(taken).toBeUndefined();
      }
      expect(frames.map((frame) => Buffer.compare(frame, joined(pieces)))).toEqual([0]);
    }
  });

  test("[F2] What is not a frame's beginning, longer than announced, longer than any frame or in crumbs is refused by name", () => {
    const whole = joined(frameOf(2.5 * PART_BYTES, 1));
    const refusalOf = (...parts: readonly Uint8Array[]): RefusalCode | undefined => {
      const joiner = new PartJoiner(LONGEST_PAYLOAD_BYTES);
      for (const part of parts) {
        const taken = joiner.take(part);
        if (taken && "refusal" in taken) return taken.refusal;
      }
      return undefined;
    };
    expect(refusalOf(whole.subarray(0, PART_BYTES))).toBeUndefined();
    expect(refusalOf(new Uint8Array(0))).toBe("FRAME_TOO_SHORT");
    expect(refusalOf(whole.subarray(0, 15))).toBe("FRAME_TOO_SHORT");
    expect(refusalOf(new Uint8Array(64))).toBe("NOT_A_FRAME");
    expect(refusalOf(whole.subarray(0, PART_BYTES + 1))).toBe("FRAME_TOO_LONG");
    expect(refusalOf(encodeHead(3, {}, LONGEST_PAYLOAD_BYTES + 1))).toBe("FRAME_TOO_LONG");
    expect(refusalOf(...partsOf([whole]), new Uint8Array(64))).toBe("NOT_A_FRAME");
    expect(refusalOf(...partsOf([whole.subarray(0, -1)]), new Uint8Array(2))).toBe("FRAME_TOO_LONG");
    const crumbs = Array.from({ length: 100 }, (_, at) => whole.subarray(100 + at, 101 + at));
    expect(refusalOf(whole.subarray(0, 100), ...crumbs)).toBe("FRAME_TOO_SHORT");
  });

  test("[F6] Whatever the bytes, joining does not throw, and holds no more than the longest frame", () => {
    const random = new Random(7);
    for (let round = 0; round < 300; round++) {
      const joiner = new PartJoiner(LONGEST_PAYLOAD_BYTES);
      const part = joined(frameOf(random.below(100), round));
      for (let flips = random.below(4); flips > 0; flips--) part[random.below(part.length)] = random.below(256);
      for (let more = 0; more < 5; more++) {
        const taken = joiner.take(part.subarray(0, 1 + random.below(part.length)));
        if (taken && "refusal" in taken) break;
        expect(taken?.byteLength ?? 0).toBeLessThan(LONGEST_PAYLOAD_BYTES + 5000);
      }
    }
  });
});

interface End {
  readonly link: ChannelLink;
  readonly frames: Uint8Array[];
  readonly closings: (string | undefined)[][];
}

class LinkedPair {
  nowMs = 0;
  readonly pair: ChannelPair;
  readonly near: End;
  readonly far: End;

  constructor(hasLowEvent = true, longestQueueBytes?: number) {
    this.pair = new ChannelPair(hasLowEvent);
    this.near = this.#link(this.pair.near);
    this.far = this.#link(this.pair.far, longestQueueBytes);
  }

  #link(end: ChannelEnd, longestQueueBytes?: number): End {
    const frames: Uint8Array[] = [];
    const closings: (string | undefined)[][] = [];
    const link = new ChannelLink({
      open: (events) => {
        end.events = events;
        return end;
      },
      longestPayloadBytes: LONGEST_PAYLOAD_BYTES,
      ...(longestQueueBytes === undefined ? {} : { longestQueueBytes }),
      nowMs: () => this.nowMs,
      received: (frame) => frames.push(frame),
      closed: (reason, refusal) => closings.push([reason, refusal]),
    });
    return { link, frames, closings };
  }

  /** Opens, and lets the near end greet. */
  greet(): this {
    this.pair.open();
    this.pass(1);
    this.pair.deliverAll();
    return this;
  }

  /** Time goes by, and the near end looks every 100 ms. */
  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 100) {
      this.nowMs += Math.min(100, ms);
      this.near.link.tick();
    }
  }
}

function closingsAfter(...words: readonly string[]): (string | undefined)[][] {
  const { pair, far } = new LinkedPair().greet();
  for (const word of words) pair.far.events?.received(word);
  return far.closings;
}

describe("A link over a channel", () => {
  test("is open once each end has heard of the other, also where the first greeting is lost on the way", () => {
    const both = new LinkedPair();
    both.pair.open();
    both.pass(100);
    expect(both.pair.near.sent.splice(0)).toEqual(["ping"]);
    expect(both.near.link.isOpen).toBe(false);
    both.pass(300);
    both.pair.deliverAll();
    expect([both.near.link.isOpen, both.far.link.isOpen]).toEqual([true, true]);
  });

  test.each([true, false])(
    "carries frames in order both ways and gives the channel about 1 MB at most (an event for room: %s)",
    (hasLowEvent) => {
      const both = new LinkedPair(hasLowEvent).greet();
      const sent = [frameOf(3_000_000, 1), frameOf(0, 2), frameOf(1_700_000, 3)];
      for (const [head, payload] of sent) both.near.link.send(head, payload);
      const [head, payload] = frameOf(100_000, 4);
      both.far.link.send(head, payload.subarray(0, 30_000), payload.subarray(30_000));
      expect(both.near.link.bufferedBytes).toBeGreaterThan(3_000_000);
      let mostBytes = 0;
      for (;;) {
        mostBytes = Math.max(mostBytes, both.pair.near.bufferedBytes);
        if (both.pair.near.deliver() === undefined && both.pair.far.deliver() === undefined) break;
      }
      expect(mostBytes).toBeLessThanOrEqual(2 ** 20 + PART_BYTES);
      expect(both.far.frames.map((frame, at) => Buffer.compare(frame, joined(sent[at]!)))).toEqual([0, 0, 0]);
      expect(both.near.frames.map((frame) => Buffer.compare(frame, joined([head, payload])))).toEqual([0]);
      expect([both.near.link.bufferedBytes, both.far.link.bufferedBytes]).toEqual([0, 0]);
      expect([...both.near.closings, ...both.far.closings]).toEqual([]);
    },
  );

  test("[L2] closes on a reader for whom more waits than two frames", () => {
    const both = new LinkedPair(true, 4_000_000).greet();
    const [head, payload] = frameOf(2_000_000, 1);
    for (let sent = 0; sent < 4; sent++) both.far.link.send(head, payload);
    expect(both.far.closings).toEqual([["it reads too slowly", undefined]]);
    expect(both.near.closings).toEqual([["the channel closed", undefined]]);
  });

  test("[T5] A channel on which nothing moves is known as stalled after 3 s; one that answers pings is not", () => {
    const both = new LinkedPair().greet();
    for (let second = 0; second < 20; second++) {
      both.pass(1000);
      both.pair.deliverAll();
    }
    expect(both.near.closings).toEqual([]);
    const [head, payload] = frameOf(100_000, 1);
    both.near.link.send(head, payload);
    both.pass(2800);
    expect(both.near.closings).toEqual([]);
    both.pass(400);
    expect(both.near.closings).toEqual([["nothing moved on it any longer", undefined]]);
    expect(both.near.link.isOpen).toBe(false);
  });

  test("[T5] A thread that was kept by long steps does not take its own sleep for a stall, nor a slow line's progress", () => {
    const both = new LinkedPair().greet();
    both.nowMs += 30_000;
    both.near.link.tick();
    both.pair.deliverAll();
    expect(both.near.closings).toEqual([]);
    const [head, payload] = frameOf(1_000_000, 1);
    both.near.link.send(head, payload);
    // One part a second arrives, and nobody says anything about it.
    for (let second = 0; second < 30; second++) {
      both.pass(1000);
      both.pair.near.deliver();
    }
    expect(both.near.closings).toEqual([]);
  });

  test("Texts beyond the few that are known, acknowledgements of what was never sent and a flood of them are refused by name", () => {
    expect(closingsAfter("ping", "pong", "ack 0")).toEqual([]);
    expect(closingsAfter("hello")).toEqual([["NOT_A_FRAME", "NOT_A_FRAME"]]);
    expect(closingsAfter("ack -1")).toEqual([["NOT_A_FRAME", "NOT_A_FRAME"]]);
    expect(closingsAfter("ack 1000000")).toEqual([["BAD_HEADER", "BAD_HEADER"]]);
    expect(closingsAfter(...Array.from({ length: 1000 }, () => "ping"))).toEqual([["TOO_FAST", "TOO_FAST"]]);
  });
});
