/** Every codec's shaders against its plain twin, and what a program makes of them in an exchange. */

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { WebGpuProgram } from "../../shared/engine/webgpu/webgpu_program.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";
import {
  BLOCK_ELEMENTS,
  BLOCK_WORDS,
  CODEC_NAMES,
  encodedBytes,
  fragmentOf,
  wholeOf,
  type CodecName,
  type Fragment,
} from "../../shared/wire/codec/codec.ts";
import { decode, encode, isFinitePayload } from "../../shared/wire/codec/naive.ts";
import {
  CODEC_SETTINGS,
  codecExamples,
  codecFragments,
  codecPlan,
  hardVector,
  part,
  patchyBase,
  sum,
  wherever,
  withPart,
} from "../support/codec_cases.ts";
import { TestDevice } from "./gpu_device.ts";

const plan = codecPlan(701);
const { elements } = plan.layout;
const whole = wholeOf(elements);
const start = initialParameters(plan.layout, 4);
const BATCH = Uint32Array.of(0, 3, 5, 9);
const LEAST_NORMAL = 2 ** -126;
/** Divisions may be rounded otherwise on a GPU, and a code be the neighbour's near a half. */
const HALF_STEP = 0.5 * (1 + 2 ** -10);

let shared: TestDevice;
let program: WebGpuProgram;

beforeAll(async () => {
  shared = await TestDevice.open();
  program = await begun();
});

afterEach(() => {
  expect(shared.errors).toEqual([]);
});

afterAll(() => shared.close());

async function begun(): Promise<WebGpuProgram> {
  const fresh = await shared.compile(plan);
  const { images, labels } = codecExamples(5);
  fresh.loadExamples(0, images, labels);
  fresh.writeParameters(start);
  return fresh;
}

async function vectorOf(name: "parameters" | "base" | "sent", of = program): Promise<Float32Array<ArrayBuffer>> {
  return new Float32Array(await shared.read(of.memory.vectors[name], 0, elements));
}

function expectEqual(actual: Float32Array, expected: Float32Array): void {
  expect(wherever(actual, expected)).toEqual([]);
}

/** What is below f32's normal range a device may take for zero. */
function flushed(values: Float32Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(values, (value) => (Math.abs(value) < LEAST_NORMAL ? 0 : value));
}

/** Without signs of zeros. */
function unsigned(values: Float32Array): Float32Array<ArrayBuffer> {
  return flushed(values).map((value) => value + 0);
}

function isFiniteAt(vector: Float32Array, at: number): boolean {
  return vector.slice(at, at + BLOCK_ELEMENTS).every(Number.isFinite);
}

/** Words that stand for `values` in a way that the codec allows; `payload` is finite. */
function expectFaithful(codec: CodecName, payload: Uint8Array, values: Float32Array): void {
  const naively = encode(codec, values);
  expect(payload.length).toBe(naively.length);
  const decoded = decode(codec, payload, values.length);
  if (codec !== "int8" && codec !== "int4" && codec !== "sign") {
    expectEqual(unsigned(decoded), unsigned(decode(codec, naively, values.length)));
    return;
  }
  const words = new Uint32Array(payload.slice().buffer);
  const naiveWords = new Uint32Array(naively.buffer);
  const wrong: string[] = [];
  for (let block = 0; block * BLOCK_ELEMENTS < values.length; block++) {
    const at = block * BLOCK_WORDS[codec];
    // A division or a sum may be off in its last bits, and then the scale by its last one.
    if (Math.abs(words[at]! - naiveWords[at]!) > 0x1_0000) wrong.push(`scale ${block}`);
    const scale = new Float32Array(words.buffer, 4 * at, 1)[0]!;
    const from = block * BLOCK_ELEMENTS;
    for (let index = from; index < Math.min(values.length, from + BLOCK_ELEMENTS); index++) {
      const [value, said] = [values[index]!, decoded[index]!];
      const isRight =
        codec === "sign"
          ? Math.abs(said) === scale &&
            (Math.abs(value) < LEAST_NORMAL || Math.sign(said) * scale === Math.sign(value) * scale)
          : scale === 0
            ? said === 0
            : Math.abs(value - said) <= scale * HALF_STEP;
      if (!isRight) wrong.push(`element ${index}: ${value} as ${said}, scale ${scale}`);
    }
  }
  expect(wrong.slice(0, 5)).toEqual([]);
}

describe.each(CODEC_NAMES)("%s", (codec) => {
  test("[C1] encodes a difference as the twin does, and counts base and decoded as sent, in the fragment alone", async () => {
    for (const [seed, fragment] of codecFragments(elements).entries()) {
      const parameters = flushed(hardVector(seed, elements, true));
      const base = patchyBase(seed, elements);
      program.writeParameters(parameters);
      program.rebase(base, true);
      const before = await vectorOf("sent");
      const { payload, isFinite } = await program.takeEncoded({ what: "difference", codec, fragment });
      const difference = sum(part(parameters, fragment), part(base, fragment), -1);
      expect(isFinite).toBe(isFinitePayload(codec, payload, difference.length));
      expectFaithful(codec, payload, difference);
      const decoded = decode(codec, payload, difference.length);
      const sent = codec === "f32" ? part(parameters, fragment) : sum(part(base, fragment), decoded);
      const expected = before.slice();
      expected.set(sent, fragment.fromElement);
      expectEqual(unsigned(await vectorOf("sent")), unsigned(expected));
      expectEqual(await vectorOf("base"), base);
    }
  });

  test("[C5] keeps a NaN or an infinity as one", async () => {
    for (let seed = 0; seed < 4; seed++) {
      const values = flushed(hardVector(seed, elements, false));
      program.writeParameters(values);
      program.rebase(new Float32Array(elements), true);
      const { payload, isFinite } = await program.takeEncoded({ what: "difference", codec, fragment: whole });
      expect(isFinite).toBe(false);
      const decoded = decode(codec, payload, elements);
      const naively = decode(codec, encode(codec, values), elements);
      for (let at = 0; at < elements; at += BLOCK_ELEMENTS) {
        expect(isFiniteAt(decoded, at)).toBe(isFiniteAt(naively, at));
      }
    }
  });

  test("[C3] adds to a gradient what the one before has left out", async () => {
    const mine = await begun();
    const { gradient } = mine.memory.vectors;
    let residual = new Float32Array(elements);
    for (let seed = 0; seed < 4; seed++) {
      // Rounding must not depend on who flushes what.
      const most = codec === "f16" ? 10_000 : Infinity;
      const values = hardVector(0, elements, true).map((value) =>
        Math.abs(value) < 1e-20 ? 0 : Math.max(-most, Math.min(most, value * (1 + seed))),
      );
      const fragment = fragmentOf(elements, 2, seed % 2);
      shared.device.queue.writeBuffer(gradient, 0, values);
      const { payload, isFinite } = await mine.takeEncoded({ what: "gradient", codec, fragment });
      const wanted = sum(part(values, fragment), part(residual, fragment));
      expect(isFinite).toBe(true);
      expectFaithful(codec, payload, wanted);
      const rest = residual.slice();
      rest.set(sum(wanted, decode(codec, payload, wanted.length), -1), fragment.fromElement);
      residual = rest;
    }
    mine.close();
  });

  test("[C2] adds changes as the twin does, bit for bit, and moves towards them", async () => {
    for (const [seed, fragment] of codecFragments(elements).entries()) {
      const parameters = patchyBase(seed + 1, elements);
      const base = patchyBase(seed + 2, elements);
      program.writeParameters(parameters);
      program.rebase(base, true);
      await program.takeDifference();
      const length = fragment.toElement - fragment.fromElement;
      const random = new Random(seed);
      const deltas = [1, 0.1, 0.01].map((size) =>
        encode(
          codec,
          new Float32Array(length).map(() => size * random.normal()),
        ),
      );
      const atAnyByte = deltas.map((bytes, offset) => {
        const moved = new Uint8Array(bytes.length + 5);
        moved.set(bytes, offset + 1);
        return moved.subarray(offset + 1, offset + 1 + bytes.length);
      });
      let news = part(base, fragment);
      for (const delta of deltas) news = sum(news, decode(codec, delta, length));
      program.settleOnto({ kind: "deltas", fragment, codec, deltas: atAnyByte }, 0.25);
      const moved = base.slice();
      moved.set(news, fragment.fromElement);
      expectEqual(await vectorOf("base"), moved);
      const pulled = parameters.map((value, at) => value - 0.25 * Math.fround(value - moved[at]!));
      expectEqual(await vectorOf("parameters"), withPart(parameters, pulled, fragment));
      program.rebaseOnto({ kind: "deltas", fragment, codec, deltas: [] }, false);
      expectEqual(await vectorOf("parameters"), withPart(withPart(parameters, pulled, fragment), moved, fragment));
    }
  });

  test("[C1] decodes any words as the twin does", async () => {
    const random = new Random(31);
    // Finite and normal: a block's scale is around one, and so is any half's exponent.
    const words = new Uint32Array(encodedBytes(codec, elements) / 4).map(() => random.bits());
    const tame = words.map((word, at) => {
      if (codec === "f32") return (word & 0x807f_ffff) | 0x3f00_0000;
      if (codec === "f16") return word & 0xbfff_bfff;
      if (codec === "bf16") return (word & 0x807f_807f) | 0x3f00_3f00;
      if (codec === "top-k") return word & 0xbfff_ffff;
      return at % BLOCK_WORDS[codec] === 0 ? 0x3f80_0000 | (word & 0x7f_0000) : word;
    });
    const base = Float32Array.from({ length: elements }, () => random.normal());
    program.writeParameters(base);
    const deltas = [new Uint8Array(tame.buffer)];
    program.rebaseOnto({ kind: "deltas", fragment: whole, codec, deltas }, true);
    expectEqual(await vectorOf("base"), sum(base, decode(codec, deltas[0]!, elements)));
  });
});

test("A whole fragment in f32 is what is taken without a codec, and its values settle likewise", async () => {
  const [plain, encoded] = [await begun(), await begun()];
  const center = initialParameters(plan.layout, 9);
  for (let step = 0; step < 2; step++) {
    for (const each of [plain, encoded]) each.step(BATCH, CODEC_SETTINGS);
    const { payload, ...loss } = await encoded.takeEncoded({ what: "difference", codec: "f32", fragment: whole });
    const { values, ...same } = await plain.takeDifference();
    expectEqual(new Float32Array(payload.slice().buffer), values);
    expect(loss).toEqual({ ...same, isFinite: true });
    for (const each of [plain, encoded]) each.step(BATCH, CODEC_SETTINGS);
    plain.settle(center, 0.3);
    encoded.settleOnto({ kind: "values", fragment: whole, values: center }, 0.3);
    expectEqual(await encoded.readParameters(), await plain.readParameters());
  }
  for (const each of [plain, encoded]) each.gradientStep(BATCH);
  const { payload } = await encoded.takeEncoded({ what: "gradient", codec: "f32", fragment: whole });
  expectEqual(new Float32Array(payload.slice().buffer), (await plain.takeGradient()).values);
  plain.rebase(center, false);
  encoded.rebaseOnto({ kind: "values", fragment: whole, values: center }, false);
  for (const each of [plain, encoded]) each.step(BATCH, CODEC_SETTINGS);
  expectEqual(await encoded.readParameters(), await plain.readParameters());
  for (const each of [plain, encoded]) each.close();
});

test("[E1] After the first use of a codec no exchange makes anything; one readback brings the encoded words and the losses", async () => {
  const mine = await begun();
  const { memoryBytes } = mine;
  const exchange = async (what: "difference" | "gradient", fragment: Fragment): Promise<void> => {
    mine.step(BATCH, CODEC_SETTINGS);
    await mine.takeEncoded({ what, codec: "int4", fragment });
    const values = new Float32Array(fragment.toElement - fragment.fromElement).fill(0.01);
    mine.settleOnto({ kind: "deltas", fragment, codec: "int8", deltas: [encode("int8", values)] }, 0.5);
    mine.unsend(fragment);
  };
  await exchange("difference", whole);
  expect(mine.memoryBytes).toBeLessThan(memoryBytes + 4 * elements);
  await exchange("gradient", whole);
  const held = mine.memoryBytes;
  expect(held).toBeGreaterThan(memoryBytes + 4 * elements);
  const { device } = shared;
  const names = ["createBuffer", "createBindGroup", "createShaderModule", "createComputePipeline"] as const;
  const made = [...names.map((name) => vi.spyOn(device, name)), vi.spyOn(device, "createComputePipelineAsync")];
  const maps = vi.spyOn(GPUBuffer.prototype, "mapAsync");
  for (let index = 0; index < 3; index++) {
    for (const what of ["difference", "gradient"] as const) await exchange(what, fragmentOf(elements, 3, index));
  }
  const bytes = [0, 1, 2].map((index) => {
    const { fromElement, toElement } = fragmentOf(elements, 3, index);
    return encodedBytes("int4", toElement - fromElement) + 16;
  });
  expect(maps.mock.calls.map(([, , size]) => size)).toEqual(bytes.flatMap((size) => [size, size]));
  expect(made.flatMap(({ mock }) => mock.calls)).toEqual([]);
  expect(mine.memoryBytes).toBe(held);
  vi.restoreAllMocks();
  mine.close();
});

test("[C3] What was not finite, and what new parameters make void, is not added to the next gradient", async () => {
  const mine = await begun();
  const { gradient } = mine.memory.vectors;
  const take = async (values: Float32Array<ArrayBuffer>): Promise<Uint8Array> => {
    shared.device.queue.writeBuffer(gradient, 0, values);
    return (await mine.takeEncoded({ what: "gradient", codec: "int4", fragment: whole })).payload.slice();
  };
  const random = new Random(8);
  const values = new Float32Array(elements).map(() => random.normal());
  const fresh = await take(values);
  expect(await take(values)).not.toEqual(fresh);
  mine.writeParameters(start);
  expect(await take(values)).toEqual(fresh);
  const broken = values.slice();
  broken[777] = NaN;
  await take(broken);
  expect(await take(values)).toEqual(fresh);
  mine.close();
});

test("[T6] What did not come counts as not sent: the pull leaves it alone", async () => {
  program.writeParameters(start);
  program.step(BATCH, CODEC_SETTINGS);
  await program.takeDifference();
  const [sent, base] = [await vectorOf("sent"), await vectorOf("base")];
  const lost = fragmentOf(elements, 7, 3);
  program.unsend(lost);
  expectEqual(await vectorOf("sent"), withPart(sent, base, lost));
  program.settleOnto({ kind: "deltas", fragment: lost, codec: "int8", deltas: [] }, 1);
  expectEqual(await vectorOf("parameters"), sent);
});

test("What is no fragment, and news of another length, is refused", async () => {
  const fragment = { fromElement: 64, toElement: elements };
  await expect(program.takeEncoded({ what: "difference", codec: "int8", fragment })).rejects.toThrow(/are no fragment/);
  expect(() => program.settleOnto({ kind: "values", fragment: whole, values: new Float32Array(3) }, 1)).toThrow(
    `A fragment of ${elements} elements came with 3 values.`,
  );
});

test("[C3] Training with int4 both ways learns as well as without a codec", async () => {
  const losses: number[] = [];
  for (const codec of ["f32", "int4"] as const) {
    const mine = await begun();
    let center: Float32Array<ArrayBuffer> = start.slice();
    let published = start.slice();
    let loss = NaN;
    for (let exchange = 0; exchange < 20; exchange++) {
      for (let step = 0; step < 3; step++) {
        mine.step(
          BATCH.map((example) => (example + 3 * exchange + step) % 12),
          { ...CODEC_SETTINGS, learningRate: 0.02 },
        );
      }
      const { payload, meanLoss } = await mine.takeEncoded({ what: "difference", codec, fragment: whole });
      loss = meanLoss;
      const moved = sum(published, decode(codec, payload, elements));
      center = center.map((value, at) => value + 0.9 * (moved[at]! - value));
      const delta = encode(codec, sum(center, published, -1));
      published = sum(published, decode(codec, delta, elements));
      mine.settleOnto({ kind: "deltas", fragment: whole, codec, deltas: [delta] }, 0.9);
      expectEqual(await vectorOf("base", mine), published);
    }
    losses.push(loss);
    mine.close();
  }
  const [plainly, encoded] = losses;
  expect(plainly).toBeLessThan(0.5);
  expect(encoded).toBeLessThan(1.5 * plainly!);
});
