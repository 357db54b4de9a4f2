/** SPEC T6 and T5 from the replica's side: pushes of which some does not arrive, and paths that are given up. */

import { describe, expect, test } from "vitest";
import { lostFragments, slicedPush } from "../../client/replica/lossy_push.ts";
import { Exchange } from "../../client/replica/exchange.ts";
import { CODEC_NAMES, wholeOf } from "../../shared/wire/codec/codec.ts";
import { decode, encode } from "../../shared/wire/codec/naive.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { decodeSlice, slicePlanOf, sliceRange } from "../../shared/wire/slices.ts";
import { QuadraticProgram } from "../support/quadratic_program.ts";
import { BLOCKS_MODEL } from "../support/replica_stage.ts";

const ELEMENTS = 5000;

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
