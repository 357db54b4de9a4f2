/** What becomes of drawings and pictures before a model sees them, and whether a trained one then knows the digits. */

import { beforeAll, describe, expect, test } from "vitest";
import { digitOfPicture, digitOfStrokes, pictureOfStrokes, type Ink, type Strokes } from "../../client/trial/digit.ts";
import { trialBytes, trialCodec } from "../../client/trial/download.ts";
import { inverted, shifted } from "../../client/trial/image.ts";
import { className, subjectOf } from "../../client/trial/subject.ts";
import { loadMnist } from "../../coordinator/data/mnist.ts";
import { cutSamples } from "../../coordinator/data/samples.ts";
import { compilePlan } from "../../shared/engine/plan.ts";
import { compileVirtual } from "../../shared/engine/wasm/wasm_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { DIGIT_STROKES } from "../support/digit_strokes.ts";
import { mnistExamples } from "../support/mnist_examples.ts";
import { WASM_MODULES } from "../support/wasm_modules.ts";

const SIDE = 28;
const NORMALISATION = { mean: [0.1307], deviation: [0.3081] } as const;
/** Two seconds on one core: about 97 % of held-out digits are right. */
const EXAMPLES = 20_000;
const STEPS = 700;
const BATCH = 64;

function centreOf(pixels: Uint8Array): { x: number; y: number } {
  let sum = 0;
  let x = 0;
  let y = 0;
  for (const [index, value] of pixels.entries()) {
    sum += value;
    x += value * ((index % SIDE) + 0.5);
    y += value * (Math.floor(index / SIDE) + 0.5);
  }
  return { x: x / sum, y: y / sum };
}

/** Of the pixels with ink, the longer of width and height. */
function extentOf(pixels: Uint8Array): number {
  const inked = [...pixels.keys()].filter((index) => pixels[index]! > 0);
  const columns = inked.map((index) => index % SIDE);
  const rows = inked.map((index) => Math.floor(index / SIDE));
  const width = Math.max(...columns) - Math.min(...columns) + 1;
  return Math.max(width, Math.max(...rows) - Math.min(...rows) + 1);
}

function moved(strokes: Strokes, scale: number, by: number): Strokes {
  return strokes.map((stroke) => stroke.map(({ x, y }) => ({ x: scale * x + by, y: scale * y + by })));
}

/** A photograph of it: dark on light, not in the middle, far larger than the model's input. */
function photographed(strokes: Strokes): Ink {
  const ink = pictureOfStrokes(moved(strokes, 0.75, 0.22), 1, 120, 120);
  return { width: 120, height: 120, values: Float32Array.from(ink, (value) => 0.9 - (0.7 * value) / 255) };
}

describe("A drawn digit becomes an image as MNIST has them", () => {
  test.each([...DIGIT_STROKES.entries()])(
    "[%i] in a box of 20 pixels, with its centre of mass in the middle, however it was drawn",
    (digit) => {
      const strokes = DIGIT_STROKES[digit]!;
      for (const drawing of [strokes, moved(strokes, 0.3, 0.05), moved(strokes, 280, 3)]) {
        const pixels = digitOfStrokes(drawing, drawing === strokes ? 1 : 0.3, SIDE);
        expect(pixels).toHaveLength(SIDE * SIDE);
        expect(Math.abs(extentOf(pixels!) - 20)).toBeLessThanOrEqual(2);
        const { x, y } = centreOf(pixels!);
        expect(Math.abs(x - 14)).toBeLessThan(0.2);
        expect(Math.abs(y - 14)).toBeLessThan(0.2);
      }
    },
  );

  test("A photograph, dark on light, gives the same kind of image", () => {
    for (const strokes of DIGIT_STROKES) {
      const pixels = digitOfPicture(photographed(strokes), SIDE)!;
      expect(Math.abs(extentOf(pixels) - 20)).toBeLessThanOrEqual(2);
      expect(centreOf(pixels).x).toBeCloseTo(14, 0);
      expect(Math.max(...pixels)).toBe(255);
    }
  });

  test("Nothing drawn and an empty page are nothing, a dot is a dot", () => {
    expect(digitOfStrokes([], 1, SIDE)).toBeUndefined();
    expect(digitOfStrokes([[]], 1, SIDE)).toBeUndefined();
    const blank = { width: 9, height: 5, values: new Float32Array(45).fill(0.8) };
    expect(digitOfPicture(blank, SIDE)).toBeUndefined();
    const dot = digitOfStrokes([[{ x: 0.2, y: 0.2 }]], 1, SIDE)!;
    expect(extentOf(dot)).toBeLessThanOrEqual(4);
    expect(Math.max(...dot)).toBeGreaterThan(200);
  });
});

describe("A network trained on MNIST", () => {
  let answer: (pixels: Uint8Array) => number;

  beforeAll(async () => {
    const options = { datasetExamples: EXAMPLES, normalisation: NORMALISATION };
    const training = await compileVirtual(WASM_MODULES, compilePlan(MODELS.mlp, { ...options, batch: BATCH }));
    const { images, labels } = mnistExamples(EXAMPLES);
    training.loadExamples(0, images, labels);
    training.writeParameters(initialParameters(training.plan.layout, 1));
    const random = new Random(2);
    for (let step = 0; step < STEPS; step++) {
      const batch = Uint32Array.from({ length: BATCH }, () => random.below(EXAMPLES));
      training.step(batch, { learningRate: 0.02, momentum: 0.9, weightDecay: 0 });
    }
    const parameters = await training.readParameters();
    training.close();
    const single = await compileVirtual(WASM_MODULES, compilePlan(MODELS.mlp, { ...options, batch: 1 }));
    answer = (pixels) => {
      single.loadExamples(0, pixels, new Uint8Array(1));
      const outputs = single.outputsAt(parameters, new Uint32Array(1));
      return outputs.indexOf(Math.max(...outputs));
    };
  });

  test("knows at least nine of ten drawn digits, large, small and photographed", () => {
    const drawn = DIGIT_STROKES.map((strokes) => answer(digitOfStrokes(strokes, 1, SIDE)!));
    const small = DIGIT_STROKES.map((strokes) => answer(digitOfStrokes(moved(strokes, 0.25, 0.7), 1, SIDE)!));
    const photos = DIGIT_STROKES.map((strokes) => answer(digitOfPicture(photographed(strokes), SIDE)!));
    for (const answers of [drawn, small, photos]) {
      expect(answers.filter((said, digit) => said === digit).length, answers.join()).toBeGreaterThanOrEqual(9);
    }
  });

  test("knows fewer of them where they are left as they lie on the pad", () => {
    const asTheyLie = DIGIT_STROKES.map((strokes) =>
      answer(pictureOfStrokes(moved(strokes, 0.4, 0.02), 1, SIDE, SIDE)),
    );
    expect(asTheyLie.filter((said, digit) => said === digit).length, asTheyLie.join()).toBeLessThan(8);
  });
});

test("Images are moved by whole pixels, and keep what their edge has", () => {
  const pixels = Uint8Array.from([1, 2, 3, 4, 5, 6]);
  const shape = { height: 2, width: 3, channels: 1 };
  expect([...shifted(pixels, shape, 1, 0)]).toEqual([1, 1, 2, 4, 4, 5]);
  expect([...shifted(pixels, shape, -2, 0)]).toEqual([3, 3, 3, 6, 6, 6]);
  expect([...shifted(pixels, shape, 0, -1)]).toEqual([4, 5, 6, 4, 5, 6]);
  expect([...shifted(pixels, { height: 1, width: 2, channels: 3 }, 1, 0)]).toEqual([1, 2, 3, 1, 2, 3]);
  expect([...inverted(Uint8Array.from([0, 255, 100]))]).toEqual([255, 0, 155]);
});

function settingsOf(model: ModelDescription, data: Partial<RunSettings["data"]> = {}): RunSettings {
  const normalisation = { mean: [0.1], deviation: [0.3] };
  const whole = { name: "mnist", title: "", trainExamples: 1, testExamples: 1, normalisation, shards: [], ...data };
  return { model, data: whole } as unknown as RunSettings;
}

test("What may be shown to a model follows from its input, and a model that takes no picture is told so", () => {
  const digits = Array.from({ length: 10 }, (_, digit) => String(digit));
  expect(subjectOf(settingsOf(MODELS.lenet)).kind).toBe("digit");
  expect(subjectOf(settingsOf(MODELS.lenet, { name: "own", classNames: digits })).kind).toBe("digit");
  expect(subjectOf(settingsOf(MODELS.lenet, { name: "fashion-mnist" })).kind).toBe("grey");
  expect(subjectOf(settingsOf(MODELS["cifar-quick"], { name: "cifar10" })).kind).toBe("colour");
  const scanned = { mean: [0.9], deviation: [0.2] };
  expect(subjectOf(settingsOf(MODELS.lenet, { normalisation: scanned }))).toMatchObject({ isLight: true });
  const fourChannels = { ...MODELS.logistic, input: { height: 4, width: 4, channels: 4 } };
  expect(subjectOf(settingsOf(fourChannels))).toMatchObject({ sentence: expect.stringContaining("4 channels") });
  const reading: ModelDescription = {
    name: "reading",
    input: { height: 1, width: 8, channels: 1 },
    classes: 2,
    layers: [
      { kind: "embedding", name: "words", vocabulary: 256, width: 4 },
      { kind: "dense", name: "out", units: 2 },
    ],
  };
  expect(subjectOf(settingsOf(reading))).toMatchObject({ sentence: expect.stringContaining("tokens") });
  expect(subjectOf(settingsOf(MODELS.caffenet))).toMatchObject({ sentence: expect.stringContaining("61 million") });
});

test("Classes have the data set's names, and numbers where it has none", () => {
  expect(className(settingsOf(MODELS.lenet), 3)).toBe("3");
  expect(className(settingsOf(MODELS.lenet, { classNames: ["boot", "bag"] }), 1)).toBe("bag");
});

test("A model with batch norms is tried in f16, others in int8, of a quarter of the bytes", () => {
  expect(trialCodec(MODELS["resnet-20"])).toBe("f16");
  expect(trialCodec(MODELS.lenet)).toBe("int8");
  expect(trialBytes(MODELS.lenet)).toBeGreaterThan(431_080);
  expect(trialBytes(MODELS.lenet)).toBeLessThan(2 * 431_080);
});

test("A run offers one held-out image of each class to try", async () => {
  const mnist = await loadMnist();
  const samples = cutSamples(mnist);
  expect([...samples.parts[1]]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(samples.byteLength).toBe(10 * (SIDE * SIDE + 1));
  // Of the test set the first 3 is the nineteenth image.
  const third = mnist.test.labels.indexOf(3);
  const pixels = mnist.test.images.subarray(third * SIDE * SIDE, (third + 1) * SIDE * SIDE);
  expect(samples.parts[0].subarray(3 * SIDE * SIDE, 4 * SIDE * SIDE).equals(pixels)).toBe(true);
});
