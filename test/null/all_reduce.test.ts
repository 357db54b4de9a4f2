/** The all-reduce of a group's members: schedules, their choice, and one direct average with everything that can go wrong in it. */

import { describe, expect, test } from "vitest";
import { AllReduce } from "../../client/replica/peers/all_reduce.ts";
import { DirectAverage, type AverageOutcome } from "../../client/replica/peers/direct_average.ts";
import { peerHead, readFromPeer, type PeerMessage } from "../../client/replica/peers/peer_messages.ts";
import {
  cheapestAlgorithm,
  isPowerOfTwo,
  lengthOf,
  stepsOf,
  type Algorithm,
} from "../../client/replica/peers/schedule.ts";
import { Random } from "../../shared/random.ts";

const GROUPS = [2, 3, 4, 5, 6, 7, 8];
const LENGTHS = [1, 7, 128, 1000];

function algorithmsOf(members: number): Algorithm[] {
  return isPowerOfTwo(members) ? ["ring", "halving", "doubling"] : ["ring"];
}

function vectorsOf(random: Random, members: number, elements: number): Float32Array<ArrayBuffer>[] {
  return Array.from({ length: members }, () => Float32Array.from({ length: elements }, () => random.normal()));
}

/** Delivers in any order across pairs, and in order within one. */
class Network<Message> {
  readonly #queues = new Map<string, { readonly to: number; readonly from: number; readonly messages: Message[] }>();
  readonly #random: Random;
  delivered = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  send(from: number, to: number, message: Message): void {
    const key = `${from}-${to}`;
    const queue = this.#queues.get(key) ?? { to, from, messages: [] };
    this.#queues.set(key, queue);
    queue.messages.push(message);
  }

  /** Delivers one; false where nothing is under way. */
  deliver(take: (from: number, to: number, message: Message) => void): boolean {
    const full = [...this.#queues.values()].filter(({ messages }) => messages.length > 0);
    const queue = full[this.#random.below(full.length)];
    const message = queue?.messages.shift();
    if (!queue || message === undefined) return false;
    this.delivered++;
    take(queue.from, queue.to, message);
    return true;
  }
}

describe("All-reduce", () => {
  test.each(GROUPS)(
    "[G8] leaves the same sum with each of %i members, by every algorithm and for every length",
    (members) => {
      const random = new Random(members);
      for (const algorithm of algorithmsOf(members)) {
        for (const elements of LENGTHS) {
          const vectors = vectorsOf(random, members, elements);
          const sum = vectors[0]!.map((_, index) => vectors.reduce((total, vector) => total + vector[index]!, 0));
          const network = new Network<{ readonly step: number; readonly payload: Uint8Array }>(random);
          const all = vectors.map(
            (vector, rank) =>
              new AllReduce({
                algorithm,
                rank,
                members,
                vector,
                send: (to, step, payload) => network.send(rank, to, { step, payload }),
              }),
          );
          for (const one of all) one.begin(1);
          while (
            network.deliver((from, to, { step, payload }) => expect(all[to]!.receive(from, step, payload)).toBe(true))
          );
          expect(all.every(({ isDone }) => isDone)).toBe(true);
          for (const vector of vectors) expect(vector).toEqual(vectors[0]);
          for (const [index, value] of sum.entries()) expect(vectors[0]![index]).toBeCloseTo(value, 4);
        }
      }
    },
  );

  test("The ring and halving send no more than twice the vector, less one member's share", () => {
    const elements = 840;
    for (const members of GROUPS) {
      for (const algorithm of algorithmsOf(members).filter((name) => name !== "doubling")) {
        for (let rank = 0; rank < members; rank++) {
          const sent = stepsOf(algorithm, rank, members, elements).reduce((sum, { sends }) => sum + lengthOf(sends), 0);
          expect(sent).toBe((2 * elements * (members - 1)) / members);
        }
      }
    }
  });

  test("Size chooses: doubling for what is short, halving for what is long, the ring where the members are no power of two", () => {
    const costs = { latencyMs: 2, bytesPerMs: 8000 };
    expect(cheapestAlgorithm(8, 1000, costs)).toBe("doubling");
    expect(cheapestAlgorithm(8, 431_080, costs)).toBe("halving");
    expect(cheapestAlgorithm(2, 431_080, costs)).toBe("doubling");
    for (const members of [3, 5, 6, 7]) expect(cheapestAlgorithm(members, 1000, costs)).toBe("ring");
    // Where a message costs nothing, only the bytes count.
    expect(cheapestAlgorithm(4, 1000, { latencyMs: 0, bytesPerMs: 8000 })).toBe("halving");
  });

  test("What nobody who keeps to the schedule sends is refused, and changes nothing", () => {
    const vector = new Float32Array(8).fill(1);
    const one = new AllReduce({ algorithm: "halving", rank: 0, members: 4, vector, send: () => {} });
    one.begin(1);
    const [first] = stepsOf("halving", 0, 4, 8);
    const payload = new Uint8Array(4 * lengthOf(first!.receives));
    expect(one.receive(first!.from, 99, payload)).toBe(false);
    expect(one.receive(first!.from, -1, payload)).toBe(false);
    expect(one.receive((first!.from + 1) % 4, 0, payload)).toBe(false);
    expect(one.receive(first!.from, 0, payload.subarray(4))).toBe(false);
    expect(vector).toEqual(new Float32Array(8).fill(1));
    expect(one.receive(first!.from, 0, payload)).toBe(true);
    expect(one.receive(first!.from, 0, payload)).toBe(false);
  });
});

interface Stage {
  readonly network: Network<PeerMessage>;
  readonly averages: DirectAverage[];
  readonly outcomes: (AverageOutcome | undefined)[];
}

function stageOf(random: Random, vectors: readonly Float32Array<ArrayBuffer>[], weights: readonly number[]): Stage {
  const network = new Network<PeerMessage>(random);
  const outcomes: (AverageOutcome | undefined)[] = vectors.map(() => undefined);
  const averages = vectors.map(
    (vector, rank) =>
      new DirectAverage({
        epoch: 3,
        baseVersion: 17,
        rank,
        members: vectors.length,
        weight: weights[rank]!,
        vector,
        send: {
          ready: (to, header) => network.send(rank, to, passed({ kind: "ready", header, payload: new Uint8Array(0) })),
          part: (to, header, payload) => network.send(rank, to, passed({ kind: "part", header, payload })),
          quit: (to, header) => network.send(rank, to, passed({ kind: "quit", header, payload: new Uint8Array(0) })),
        },
        ended: (outcome) => {
          expect(outcomes[rank]).toBeUndefined();
          outcomes[rank] = outcome;
        },
      }),
  );
  return { network, averages, outcomes };
}

/** Through bytes and the door. */
function passed(message: PeerMessage): PeerMessage {
  const head =
    message.kind === "ready"
      ? peerHead("ready", message.header)
      : message.kind === "part"
        ? peerHead("part", message.header, message.payload.byteLength)
        : peerHead("quit", message.header);
  const bytes = new Uint8Array(head.byteLength + message.payload.byteLength);
  bytes.set(head);
  bytes.set(message.payload, head.byteLength);
  const read = readFromPeer(bytes, 1 << 20);
  if (!read) throw new Error("the door refused what a member sends");
  return read;
}

describe("A direct average", () => {
  test.each(GROUPS)("[G8] gives each of %i members the weighted mean, in whatever order messages come", (members) => {
    const random = new Random(40 + members);
    for (const elements of [5, 600]) {
      const vectors = vectorsOf(random, members, elements);
      const weights = vectors.map((_, at) => 16 * (at + 1));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const mean = vectors[0]!.map(
        (_, index) => vectors.reduce((sum, vector, at) => sum + weights[at]! * vector[index]!, 0) / total,
      );
      const { network, averages, outcomes } = stageOf(random, vectors, weights);
      while (network.deliver((from, to, message) => averages[to]!.receive(from, message)));
      for (const outcome of outcomes) {
        if (!outcome || "failure" in outcome) throw new Error(`no mean: ${outcome?.failure ?? "not ended"}`);
        expect(outcome).toEqual(outcomes[0]);
        for (const [index, value] of mean.entries()) expect(outcome.mean[index]).toBeCloseTo(value, 4);
      }
    }
  });

  test("[G8] ends for everybody when one gives up, at any moment: nobody is left waiting, and nobody has another mean", () => {
    const random = new Random(77);
    let [means, failures] = [0, 0];
    for (let round = 0; round < 300; round++) {
      const members = 2 + random.below(7);
      const vectors = vectorsOf(random, members, 1 + random.below(200));
      const { network, averages, outcomes } = stageOf(
        random,
        vectors,
        vectors.map(() => 1),
      );
      const giveUpAfter = random.below(3 * members * members);
      const quitter = random.below(members);
      while (network.deliver((from, to, message) => averages[to]!.receive(from, message))) {
        if (network.delivered === giveUpAfter) averages[quitter]!.giveUp("its deadline is over");
      }
      averages[quitter]!.giveUp("its deadline is over");
      expect(outcomes.every((outcome) => outcome !== undefined)).toBe(true);
      const had = outcomes.flatMap((outcome) => (outcome && "mean" in outcome ? [outcome.mean] : []));
      for (const mean of had) expect(mean).toEqual(had[0]);
      means += had.length;
      failures += outcomes.length - had.length;
    }
    // Both ends of the range were visited.
    expect(means).toBeGreaterThan(0);
    expect(failures).toBeGreaterThan(0);
  });

  test("[G8] fails where a member has another length, is ready twice or sends what is not due", () => {
    const faults: ((stage: Stage) => void)[] = [
      ({ averages }) => averages[0]!.receive(1, { ...readyOf(1), header: { ...readyOf(1).header, elements: 9 } }),
      ({ averages }) => [0, 1].forEach(() => averages[0]!.receive(1, readyOf(8))),
      ({ averages }) =>
        averages[0]!.receive(1, {
          kind: "part",
          header: { epoch: 3, baseVersion: 17, step: 0 },
          payload: new Uint8Array(4),
        }),
    ];
    for (const fault of faults) {
      const stage = stageOf(new Random(1), vectorsOf(new Random(2), 3, 8), [1, 1, 1]);
      fault(stage);
      expect(stage.outcomes[0]).toHaveProperty("failure");
      while (stage.network.deliver((from, to, message) => stage.averages[to]!.receive(from, message)));
      expect(stage.outcomes.every((outcome) => outcome && "failure" in outcome)).toBe(true);
    }
  });

  test("Bytes that no member sends do not come through the door", () => {
    const random = new Random(5);
    const head = peerHead("quit", { epoch: 1, baseVersion: 2 });
    expect(readFromPeer(head, 100)).toBeDefined();
    for (let round = 0; round < 2000; round++) {
      const bytes = head.slice();
      for (let changes = 1 + random.below(4); changes > 0; changes--)
        bytes[random.below(bytes.length)] = random.below(256);
      const read = readFromPeer(
        bytes.subarray(0, random.below(2) === 0 ? bytes.length : random.below(bytes.length)),
        100,
      );
      if (read) expect(Number.isSafeInteger(read.header.baseVersion)).toBe(true);
    }
    const noisy = peerHead("quit", { epoch: 1, baseVersion: 2 }, 4);
    expect(readFromPeer(new Uint8Array([...noisy, 1, 2, 3, 4]), 100)).toBeUndefined();
    expect(
      readFromPeer(peerHead("ready", { epoch: 1, baseVersion: 2, weight: -1, elements: 3, algorithm: "ring" }), 100),
    ).toBeUndefined();
  });
});

function readyOf(elements: number): Extract<PeerMessage, { kind: "ready" }> {
  const algorithm = cheapestAlgorithm(3, elements);
  return {
    kind: "ready",
    header: { epoch: 3, baseVersion: 17, weight: 1, elements, algorithm },
    payload: new Uint8Array(0),
  };
}
