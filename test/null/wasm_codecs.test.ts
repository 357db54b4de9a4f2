/** Every codec's WASM kernels against its plain twin, and what a program makes of them in an exchange. */

import { describe, expect, test } from "vitest";
import { compilePlan } from "../../shared/engine/plan.ts";
import { instantiate, type Instance } from "../../shared/engine/wasm/kernels.ts";
import { MemoryMap } from "../../shared/engine/wasm/memory_map.ts";
import type { VirtualProgram } from "../../shared/engine/wasm/replica_states.ts";
import { compileVirtual } from "../../shared/engine/wasm/wasm_backend.ts";
import { webAssembly, type WasmModule } from "../../shared/engine/wasm/webassembly.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";
import {
  BLOCK_ELEMENTS,
  CODEC_NAMES,
  encodedBytes,
  fragmentOf,
  wholeOf,
  type CodecName,
} from "../../shared/wire/codec/codec.ts";
import { decode, encode, isFinitePayload } from "../../shared/wire/codec/naive.ts";
import { isFiniteEncoding } from "../../shared/wire/codec/payload_check.ts";
import {
  CODEC_SETTINGS as SETTINGS,
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
import { mnistExamples } from "../support/mnist_examples.ts";
import { WASM_MODULES } from "../support/wasm_modules.ts";

const UNITS = 701;
const BATCH = Uint32Array.of(0, 3, 5, 9);
const LOSSY = CODEC_NAMES.filter((codec) => codec !== "f32");

/** Kernels over vectors of one length, alone in their memory. */
class Bench {
  readonly #instance: Instance;
  readonly #map: MemoryMap;
  readonly #payload: number;

  constructor(instance: Instance, map: MemoryMap, payload: number) {
    this.#instance = instance;
    this.#map = map;
    this.#payload = payload;
  }

  static async open(module: WasmModule): Promise<Bench> {
    const map = new MemoryMap(codecPlan(UNITS));
    const payload = map.reserve(4 * map.plan.layout.elements);
    return new Bench(await instantiate(module, map), map, payload);
  }

  floats(vector: "parameters" | "base" | "sent" | "gradient" | "velocity", count: number): Float32Array {
    return new Float32Array(this.#instance.memory, this.#map[vector], count);
  }

  payload(codec: CodecName, elements: number): Uint8Array {
    return new Uint8Array(this.#instance.memory, this.#payload, encodedBytes(codec, elements));
  }

  encodeDifference(codec: CodecName, count: number): void {
    const { parameters, base, sent, codecStaging } = this.#map;
    const { encodeDifference } = this.#instance.kernels;
    encodeDifference(CODEC_NAMES.indexOf(codec), parameters, base, sent, this.#payload, count, codecStaging.scratch);
  }

  /** The residual in the place of the velocity. */
  encodeGradient(codec: CodecName, count: number): void {
    const { gradient, velocity, codecStaging } = this.#map;
    const { encodeGradient } = this.#instance.kernels;
    encodeGradient(CODEC_NAMES.indexOf(codec), gradient, velocity, this.#payload, count, codecStaging.scratch);
  }

  addDecoded(codec: CodecName, count: number): void {
    const { base, codecStaging } = this.#map;
    this.#instance.kernels.addDecoded(CODEC_NAMES.indexOf(codec), this.#payload, base, count, codecStaging.scratch);
  }
}

function expectEqual(actual: Float32Array, expected: Float32Array): void {
  expect(wherever(actual, expected)).toEqual([]);
}

const LENGTHS = [0, 4, 60, 64, 128, 192, 3 * 128 + 124, 14_080];

describe.each(Object.entries(WASM_MODULES))("%s kernels", (_, bytes) => {
  const opened = webAssembly.compile(bytes).then((module) => Bench.open(module));

  test.each(CODEC_NAMES)("[C1] encode a difference as the twin does, and say what was sent: %s", async (codec) => {
    const bench = await opened;
    for (const [seed, count] of LENGTHS.entries()) {
      const parameters = hardVector(seed, count, true);
      const base = patchyBase(seed, count);
      bench.floats("parameters", count).set(parameters);
      bench.floats("base", count).set(base);
      const beyond = bench.floats("sent", count + 16).fill(7);
      bench.encodeDifference(codec, count);
      const payload = encode(codec, sum(parameters, base, -1));
      expect(bench.payload(codec, count)).toEqual(payload);
      expectEqual(bench.floats("sent", count), sum(base, decode(codec, payload, count)));
      expect(beyond.slice(count)).toEqual(new Float32Array(16).fill(7));
    }
  });

  test.each(CODEC_NAMES)("[C5] keep a NaN or an infinity as one: %s", async (codec) => {
    const bench = await opened;
    for (let seed = 0; seed < 20; seed++) {
      const count = 40 * BLOCK_ELEMENTS + 64;
      const values = hardVector(seed, count, false);
      bench.floats("parameters", count).set(values);
      bench.floats("base", count).fill(0);
      bench.encodeDifference(codec, count);
      const decoded = decode(codec, bench.payload(codec, count), count);
      const naively = decode(codec, encode(codec, values), count);
      for (let first = 0; first < count; first += BLOCK_ELEMENTS) {
        const blockOf = (vector: Float32Array): Float32Array => vector.slice(first, first + BLOCK_ELEMENTS);
        const isFinite = blockOf(naively).every(Number.isFinite);
        if (!blockOf(values).every(Number.isFinite)) expect(isFinite).toBe(false);
        expect(blockOf(decoded).every(Number.isFinite)).toBe(isFinite);
        if (isFinite) expectEqual(blockOf(decoded), blockOf(naively));
      }
    }
  });

  test.each(CODEC_NAMES)(
    "[C3] encode a gradient with what was left out before, and keep the rest: %s",
    async (codec) => {
      const bench = await opened;
      for (const [seed, count] of LENGTHS.entries()) {
        const gradient = hardVector(seed + 50, count, true);
        const residual = patchyBase(seed + 50, count);
        bench.floats("gradient", count).set(gradient);
        bench.floats("velocity", count).set(residual);
        bench.encodeGradient(codec, count);
        const wanted = sum(gradient, residual);
        const payload = encode(codec, wanted);
        expect(bench.payload(codec, count)).toEqual(payload);
        expectEqual(bench.floats("velocity", count), sum(wanted, decode(codec, payload, count), -1));
      }
    },
  );

  test.each(CODEC_NAMES)("[C2] add what is decoded as the twin does, whatever the bytes are: %s", async (codec) => {
    const bench = await opened;
    const random = new Random(9);
    for (const count of LENGTHS) {
      const payload = Uint8Array.from({ length: encodedBytes(codec, count) }, () => random.below(256));
      const base = patchyBase(3, count);
      bench.payload(codec, count).set(payload);
      const beyond = bench.floats("base", count + 16).fill(7);
      beyond.set(base);
      bench.addDecoded(codec, count);
      expectEqual(bench.floats("base", count), sum(base, decode(codec, payload, count)));
      expect(beyond.slice(count)).toEqual(new Float32Array(16).fill(7));
    }
  });
});

test.each(CODEC_NAMES)("[C5] What is not finite is seen from the payload alone: %s", (codec) => {
  const random = new Random(21);
  for (let seed = 0; seed < 60; seed++) {
    const values = hardVector(seed, BLOCK_ELEMENTS * (1 + random.below(3)), seed % 2 === 0);
    const payload = encode(codec, values);
    const expected = isFinitePayload(codec, payload, values.length);
    expect(isFiniteEncoding(codec, new Uint32Array(payload.buffer))).toBe(expected);
  }
});

async function begun(): Promise<VirtualProgram> {
  const program = await compileVirtual(WASM_MODULES, codecPlan(UNITS));
  const { images, labels } = codecExamples(5);
  program.loadExamples(0, images, labels);
  program.writeParameters(initialParameters(program.plan.layout, 4));
  return program;
}

const ELEMENTS = codecPlan(UNITS).layout.elements;

describe("A program", () => {
  test.each(CODEC_NAMES)("sends base and decoded of a fragment, and nothing else of it changes: %s", async (codec) => {
    const program = await begun();
    expect(ELEMENTS % BLOCK_ELEMENTS).toBe(64);
    for (const [seed, fragment] of codecFragments(ELEMENTS).entries()) {
      const parameters = hardVector(seed, ELEMENTS, true);
      const base = patchyBase(seed, ELEMENTS);
      program.writeParameters(parameters);
      program.rebase(base, true);
      const before = program.saveReplica();
      const { payload, isFinite } = await program.takeEncoded({ what: "difference", codec, fragment });
      const difference = sum(part(parameters, fragment), part(base, fragment), -1);
      expect(payload).toEqual(encode(codec, difference));
      expect(isFinite).toBe(isFinitePayload(codec, payload, difference.length));
      const decoded = decode(codec, payload, difference.length);
      const sent = codec === "f32" ? part(parameters, fragment) : sum(part(base, fragment), decoded);
      const { fromElement, toElement } = fragment;
      const after = program.saveReplica();
      expectEqual(part(after.sent, fragment), sent);
      expectEqual(after.sent.slice(0, fromElement), before.sent.slice(0, fromElement));
      expectEqual(after.sent.slice(toElement), before.sent.slice(toElement));
      expectEqual(after.parameters, parameters);
      expectEqual(after.base, base);
      expect(after.residual).toBeUndefined();
    }
  });

  test("takes in f32 and whole what it takes without a codec, and settles likewise", async () => {
    const [plain, encoded] = [await begun(), await begun()];
    const fragment = wholeOf(ELEMENTS);
    const center = initialParameters(plain.plan.layout, 9);
    for (let step = 0; step < 3; step++) {
      for (const program of [plain, encoded]) program.step(BATCH, SETTINGS);
      const { payload, ...loss } = await encoded.takeEncoded({ what: "difference", codec: "f32", fragment });
      const { values, ...same } = await plain.takeDifference();
      expect(new Float32Array(payload.slice().buffer)).toEqual(values);
      expect(loss).toEqual({ ...same, isFinite: true });
      for (const program of [plain, encoded]) program.step(BATCH, SETTINGS);
      plain.settle(center, 0.3);
      encoded.settleOnto({ kind: "values", fragment, values: center }, 0.3);
      expect(encoded.saveReplica()).toEqual(plain.saveReplica());
    }
    for (const program of [plain, encoded]) program.gradientStep(BATCH);
    const { payload } = await encoded.takeEncoded({ what: "gradient", codec: "f32", fragment });
    expect(new Float32Array(payload.slice().buffer)).toEqual((await plain.takeGradient()).values);
    plain.rebase(center, false);
    encoded.rebaseOnto({ kind: "values", fragment, values: center }, false);
    expect(encoded.saveReplica()).toEqual(plain.saveReplica());
  });

  test.each(CODEC_NAMES)(
    "[X18] adds changes one after the other, at any alignment, and moves towards them: %s",
    async (codec) => {
      const program = await begun();
      for (const [seed, fragment] of codecFragments(ELEMENTS).entries()) {
        const parameters = patchyBase(seed + 1, ELEMENTS);
        const base = patchyBase(seed + 2, ELEMENTS);
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
        const after = program.saveReplica();
        const whole = base.slice();
        whole.set(news, fragment.fromElement);
        expectEqual(after.base, withPart(base, whole, fragment));
        const pull = (value: number, at: number): number => Math.fround(0.25 * Math.fround(value - whole[at]!));
        const pulled = parameters.map((value, at) => value - pull(value, at));
        expectEqual(after.parameters, withPart(parameters, pulled, fragment));
        program.rebaseOnto({ kind: "deltas", fragment, codec, deltas: [] }, false);
        expectEqual(program.saveReplica().parameters, withPart(after.parameters, whole, fragment));
      }
    },
  );

  test("[T6] counts what did not come as not sent: the pull leaves it alone", async () => {
    const program = await begun();
    program.step(BATCH, SETTINGS);
    await program.takeDifference();
    const lost = fragmentOf(ELEMENTS, 7, 3);
    program.unsend(lost);
    const { sent, base, parameters } = program.saveReplica();
    expectEqual(part(sent, lost), part(base, lost));
    expect(sent).toEqual(withPart(parameters, base, lost));
    program.settleOnto({ kind: "deltas", fragment: lost, codec: "int8", deltas: [] }, 1);
    expectEqual(program.saveReplica().parameters, parameters);
  });

  test.each(LOSSY)("[C3] sends over 200 exchanges all gradients but for what is left: %s", async (codec) => {
    const program = await begun();
    const wanted = new Float64Array(ELEMENTS);
    const told = new Float64Array(ELEMENTS);
    const count = 2;
    let peak = 0;
    for (let exchange = 0; exchange < 200; exchange++) {
      program.gradientStep(BATCH.map((example) => (example + exchange) % 12));
      const gradient = (await program.takeGradient()).values.slice();
      peak = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), peak);
      const fragment = fragmentOf(ELEMENTS, count, exchange % count);
      const { payload } = await program.takeEncoded({ what: "gradient", codec, fragment });
      const decoded = decode(codec, payload, fragment.toElement - fragment.fromElement);
      decoded.forEach((value, index) => {
        const at = fragment.fromElement + index;
        wanted[at]! += gradient[at]!;
        told[at]! += value;
      });
    }
    const { residual } = program.saveReplica();
    const unexplained = wanted.map((value, at) => Math.abs(value - told[at]! - residual![at]!));
    expect(Math.max(...unexplained)).toBeLessThan(1e-5 * peak * 200);
    if (codec === "top-k" || codec === "sign") return;
    // Half a step of the code: 1/14 of a block's greatest for int4, 1/16 of its own value for bf16's last bit and less.
    const most = residual!.reduce((least, value) => Math.max(least, Math.abs(value)), 0);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan((peak / 14) * 1.2);
  });

  test("[C3] forgets what was left out with new parameters, and where it was not finite; else keeps and counts it", async () => {
    const program = await begun();
    const fragment = wholeOf(ELEMENTS);
    const memoryBytes = program.memoryBytes;
    const take = async (): Promise<boolean> => {
      program.gradientStep(BATCH);
      return (await program.takeEncoded({ what: "gradient", codec: "int4", fragment })).isFinite;
    };
    const kept = (): boolean => program.saveReplica().residual!.some((value) => value !== 0);
    expect(await take()).toBe(true);
    expect(program.memoryBytes).toBe(memoryBytes + 4 * ELEMENTS);
    expect(kept()).toBe(true);
    const start = initialParameters(program.plan.layout, 4);
    program.rebaseOnto({ kind: "values", fragment, values: start }, false);
    expect(kept()).toBe(true);
    program.writeParameters(start);
    expect(kept()).toBe(false);
    await take();
    const broken = start.slice();
    broken[0] = NaN;
    program.rebaseOnto({ kind: "values", fragment, values: broken }, false);
    expect(await take()).toBe(false);
    expect(kept()).toBe(false);
  });

  test("that holds many replicas in turn keeps what each of their gradients has left out", async () => {
    const [together, first, second] = [await begun(), await begun(), await begun()];
    const alone = [first, second];
    const states = alone.map((program) => program.saveReplica());
    for (let round = 0; round < 3; round++) {
      for (const [index, program] of alone.entries()) {
        const state = states[index]!;
        const batch = BATCH.map((example) => (example + round + 5 * index) % 12);
        const request = { what: "gradient", codec: "int4", fragment: wholeOf(ELEMENTS) } as const;
        together.loadReplica(state);
        for (const each of [together, program]) each.gradientStep(batch);
        expect(together.takeEncodedNow(request).payload).toEqual((await program.takeEncoded(request)).payload);
        together.saveReplica(state);
        expect(state.residual).toEqual(program.saveReplica().residual);
      }
    }
    expect(states[0]!.residual).not.toEqual(states[1]!.residual);
  });

  test("refuses what is no fragment, and news of another length", async () => {
    const program = await begun();
    const fragment = { fromElement: 64, toElement: ELEMENTS };
    await expect(program.takeEncoded({ what: "difference", codec: "int8", fragment })).rejects.toThrow(
      /are no fragment/,
    );
    expect(() => program.unsend({ fromElement: 0, toElement: ELEMENTS + 128 })).toThrow(/are no fragment/);
    const whole = wholeOf(ELEMENTS);
    expect(() => program.settleOnto({ kind: "values", fragment: whole, values: new Float32Array(3) }, 1)).toThrow(
      `A fragment of ${ELEMENTS} elements came with 3 values.`,
    );
    const short = { kind: "deltas", fragment: whole, codec: "int4", deltas: [new Uint8Array(7)] } as const;
    expect(() => program.rebaseOnto(short, true)).toThrow(/in int4 has 7 bytes; it needs 7548/);
  });
});

/** The mean loss of the last four steps of one replica that alone moves its center, all vectors travelling in `codec`. */
async function trained(codec: CodecName): Promise<number> {
  const examples = 256;
  const { images, labels } = mnistExamples(examples);
  const normalisation = { mean: [0.13], deviation: [0.31] };
  const program = await compileVirtual(
    WASM_MODULES,
    compilePlan(MODELS.lenet, { batch: 16, datasetExamples: examples, normalisation }),
  );
  const { layout } = program.plan;
  const fragment = wholeOf(layout.elements);
  program.loadExamples(0, images, labels);
  let center = initialParameters(layout, 2);
  let published = center;
  program.writeParameters(center);
  let loss = NaN;
  for (let exchange = 0; exchange < 12; exchange++) {
    for (let step = 0; step < 4; step++) {
      const first = 16 * ((4 * exchange + step) % 16);
      const batch = Uint32Array.from({ length: 16 }, (_, row) => first + row);
      program.step(batch, { learningRate: 0.005, momentum: 0.9, weightDecay: 0 });
    }
    const { payload, meanLoss } = await program.takeEncoded({ what: "difference", codec, fragment });
    loss = meanLoss;
    const moved = decode(codec, payload, layout.elements);
    center = center.map((value, at) => value + 0.9 * (published[at]! + moved[at]! - value));
    const delta = encode(codec, sum(center, published, -1));
    published = sum(published, decode(codec, delta, layout.elements));
    program.settleOnto({ kind: "deltas", fragment, codec, deltas: [delta] }, 0.9);
    expectEqual(program.saveReplica().base, published);
  }
  return loss;
}

test("[C3] LeNet learns with int4 and with top-k both ways about as well as without a codec", async () => {
  const plainly = await trained("f32");
  expect(plainly).toBeLessThan(0.5);
  for (const codec of ["int4", "top-k"] as const) expect(await trained(codec)).toBeLessThan(1.5 * plainly);
});
