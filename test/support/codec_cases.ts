/**
 * What codecs are fuzzed with, on both backends: a block of every kind that is hard for one of them, and a small net whose layout ends
 * in the middle of a block.
 */

import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { BLOCK_ELEMENTS, fragmentOf, wholeOf, type Fragment } from "../../shared/wire/codec/codec.ts";

const CODEC_EXAMPLES = 12;
const PIXELS = 16;

/** `units` 701: 14,144 elements, 110.5 blocks. */
export function codecPlan(units: number): Plan {
  const model: ModelDescription = {
    name: "blocks",
    input: { height: 4, width: 4, channels: 1 },
    classes: 3,
    layers: [
      { kind: "dense", name: "hidden", units },
      { kind: "relu", name: "relu" },
      { kind: "dense", name: "out", units: 3 },
    ],
  };
  const normalisation = { mean: [0.5], deviation: [0.25] };
  return compilePlan(model, { batch: 4, datasetExamples: CODEC_EXAMPLES, normalisation });
}

export function codecExamples(seed: number): { readonly images: Uint8Array; readonly labels: Uint8Array } {
  const random = new Random(seed);
  return {
    images: Uint8Array.from({ length: CODEC_EXAMPLES * PIXELS }, () => random.below(256)),
    labels: Uint8Array.from({ length: CODEC_EXAMPLES }, () => random.below(3)),
  };
}

/** Everything, and fragments at the beginning, in the middle and at the end. */
export function codecFragments(elements: number): readonly Fragment[] {
  return [wholeOf(elements), ...[0, 2, 4].map((index) => fragmentOf(elements, 5, index))];
}

type Draw = (random: Random, index: number) => number;

const sign = (random: Random): number => (random.below(2) === 0 ? 1 : -1);
const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

function floatOf(word: number): number {
  bits[0] = word;
  return floats[0]!;
}

/** Normal numbers around `2 ** exponent`. */
function around(exponent: number): Draw {
  return (random) => 2 ** exponent * random.normal();
}

/** By what is hard about it. */
const FINITE_BLOCKS: readonly Draw[] = [
  around(-10),
  around(0),
  () => 0,
  () => -0,
  // One element of all.
  (_, index) => (index === 77 ? -0.3 : 0),
  // f16's denormals, and around its least.
  around(-16),
  around(-24),
  // Below f32's normal range, and where a scale becomes zero.
  (random) => sign(random) * floatOf(random.below(0x80_0000)),
  around(-94),
  around(-100),
  around(-104),
  // Around f16's greatest and beyond it.
  (random) => sign(random) * (65_488 + random.below(64)),
  around(40),
  around(110),
  // Halves of int8's scale, which is 1 here, and of int4's.
  (random, index) => (index === 3 ? 127 : random.below(255) / 2 - 63.5),
  (random, index) => (index === 127 ? -7 : random.below(29) / 2 - 7),
  // Equal magnitudes.
  (random) => 0.25 * sign(random),
  (random, index) => (index % 9 === 5 ? 2 : 1) * sign(random),
  // Halves between two f16, and between two bf16.
  (random) => sign(random) * (1 + (2 * random.below(512) + 1) / 2048),
  (random) => sign(random) * (1 + (2 * random.below(128) + 1) / 256),
  // Any exponent.
  (random) => sign(random) * floatOf(random.below(0x7e80_0000)),
];

const BROKEN_BLOCKS: readonly Draw[] = [
  (random, index) => (index === 0 ? NaN : random.normal()),
  (random, index) => (index === 63 ? NaN : random.normal()),
  (random, index) => (index === 31 ? Infinity : random.normal()),
  (_, index) => (index === 62 ? -Infinity : 0),
  (_, index) => [NaN, Infinity, -Infinity, 0][index % 4]!,
  (_, index) => (index < 6 ? Infinity : -NaN),
];

/** `elements` elements in blocks of every kind, the kinds in an order of the seed's. */
export function hardVector(seed: number, elements: number, isFinite: boolean): Float32Array<ArrayBuffer> {
  const random = new Random(seed);
  const kinds = isFinite ? FINITE_BLOCKS : [...FINITE_BLOCKS, ...BROKEN_BLOCKS];
  const order = Uint32Array.from(kinds.keys());
  random.shuffle(order);
  return Float32Array.from({ length: elements }, (_, at) => {
    const block = Math.floor(at / BLOCK_ELEMENTS);
    return kinds[order[block % kinds.length]!]!(random, at % BLOCK_ELEMENTS);
  });
}

/** Zero in every other block, so that half of all differences are the vector itself, and others are rounded. */
export function patchyBase(seed: number, elements: number): Float32Array<ArrayBuffer> {
  const random = new Random(seed);
  return Float32Array.from({ length: elements }, (_, at) =>
    Math.floor(at / BLOCK_ELEMENTS) % 2 === 0 ? 0 : random.normal(),
  );
}

export const CODEC_SETTINGS = { learningRate: 0.1, momentum: 0.9, weightDecay: 0 };

/** Where two vectors are not equal bit for bit (any NaN equals any other), the first few places. */
export function wherever(actual: Float32Array, expected: Float32Array): readonly string[] {
  const places: string[] =
    actual.length === expected.length ? [] : [`${actual.length} for ${expected.length} elements`];
  for (let at = 0; at < actual.length && places.length < 5; at++) {
    const [value, other] = [actual[at]!, expected[at]!];
    if (!Object.is(value, other)) places.push(`element ${at} is ${value} instead of ${other}`);
  }
  return places;
}

/** a + factor * b in f32. */
export function sum(a: Float32Array, b: Float32Array, factor: 1 | -1 = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from(a, (value, index) => value + factor * b[index]!);
}

export function part(vector: Float32Array, { fromElement, toElement }: Fragment): Float32Array<ArrayBuffer> {
  return vector.slice(fromElement, toElement);
}

/** `vector` with the fragment of `other` in it. */
export function withPart(vector: Float32Array, other: Float32Array, fragment: Fragment): Float32Array<ArrayBuffer> {
  const whole = vector.slice();
  whole.set(part(other, fragment), fragment.fromElement);
  return whole;
}
