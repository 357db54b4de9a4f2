import { expect, test } from "vitest";
import type { Operation } from "../../shared/engine/operation.ts";
import { gradientsWrittenBy, readBy, tensorsOf, writtenBy } from "../../shared/engine/operation_tensors.ts";
import { compilePlan, type Plan } from "../../shared/engine/plan.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { ModelError, type ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";

const OPTIONS = { batch: 4, datasetExamples: 10, normalisation: { mean: [0], deviation: [1] } };

/** Two tensors of one slot, alive at the same operation; undefined when there are none. */
function slotClash(plan: Plan): string | undefined {
  const operations = [...plan.forward, ...plan.backward];
  const lives = plan.tensors.map((_, id) => {
    const uses = operations.flatMap((operation, at) => (tensorsOf(operation).includes(id) ? [at] : []));
    // Losses and correctness are read when all operations are done.
    const last = id === plan.losses || id === plan.correct ? operations.length : Math.max(...uses);
    return { first: Math.min(...uses), last };
  });
  for (const [a, one] of plan.tensors.entries()) {
    for (const [b, other] of plan.tensors.entries()) {
      if (a >= b || one.slot !== other.slot) continue;
      if (lives[a]!.first <= lives[b]!.last && lives[b]!.first <= lives[a]!.last)
        return `${one.name} and ${other.name}`;
    }
  }
  return undefined;
}

/** Convolutions, pools, relus and dense layers in any order that fits. */
function randomModel(seed: number): ModelDescription {
  const random = new Random(seed);
  const layers: ModelDescription["layers"][number][] = [];
  for (let index = 0; index < 2 + random.below(6); index++) {
    const name = `layer${index}`;
    const kind = random.below(3);
    if (kind === 0) layers.push({ kind: "conv2d", name, kernel: 1 + random.below(2), channels: 1 + random.below(6) });
    else if (kind === 1) layers.push({ kind: "max-pool", name, size: 2, stride: 1 });
    else if (layers.length > 0) layers.push({ kind: "relu", name });
  }
  return {
    name: `random ${seed}`,
    input: { height: 12, width: 12, channels: 2 },
    classes: 5,
    layers: [...layers, { kind: "dense", name: "out", units: 5 }],
  };
}

test("Tensors that share a slot never live at the same time", () => {
  const models = [MODELS.lenet, MODELS.mlp, ...Array.from({ length: 50 }, (_, seed) => randomModel(seed))];
  const clashes = models.map((model) => [model.name, slotClash(compilePlan(model, OPTIONS))] as const);
  expect(clashes.filter(([, clash]) => clash !== undefined)).toEqual([]);
});

test("Sharing slots saves memory, and each slot holds its largest tensor", () => {
  const plan = compilePlan(MODELS.lenet, OPTIONS);
  const separate = plan.tensors.reduce((sum, { elements }) => sum + elements, 0);
  const shared = plan.slotElements.reduce((sum, elements) => sum + elements, 0);
  expect(shared).toBeLessThan(0.75 * separate);
  const homeless = plan.tensors.filter(({ slot, elements }) => plan.slotElements[slot]! < elements);
  expect(homeless).toEqual([]);
});

test("A relu becomes the epilogue of the layer before it and is undone where that layer's gradient is written", () => {
  const plan = compilePlan(MODELS.mlp, OPTIONS);
  const kinds = plan.forward.map(({ kind }) => kind);
  expect(kinds).toEqual(["gather", "dense", "dense", "dense", "softmax-cross-entropy"]);
  const hidden = plan.forward.find((operation) => operation.kind === "dense");
  expect(hidden).toMatchObject({ name: "fc1", activation: { kind: "relu" } });
  const gradient = plan.backward.findLast((operation) => operation.kind === "dense-data-gradient");
  expect(gradient).toMatchObject({ name: "fc2", accumulate: false, undo: { output: hidden!.output } });
});

test("The backward pass ends at the first layer with parameters: nobody needs the gradient of the images", () => {
  const plan = compilePlan(MODELS.lenet, OPTIONS);
  expect(plan.backward.at(-1)).toMatchObject({ kind: "convolve-filter-gradient", name: "conv1" });
  expect(
    plan.backward.some((operation) => operation.kind === "convolve-data-gradient" && operation.name === "conv1"),
  ).toBe(false);
});

test("A relu on the images or on the model's outputs is an operation of its own", () => {
  const layers: ModelDescription["layers"] = [
    { kind: "relu", name: "early" },
    ...MODELS.mlp.layers,
    { kind: "sigmoid", name: "late" },
  ];
  const plan = compilePlan({ ...MODELS.mlp, layers }, OPTIONS);
  const activations = plan.forward.flatMap((operation) => (operation.kind === "activate" ? [operation.name] : []));
  expect(activations).toEqual(["early", "late"]);
  expect(plan.backward[0]).toMatchObject({ kind: "activate-gradient", name: "late" });
});

test("The end of a residual block is one operation, and the shortcut's gradient is handed on without a copy", () => {
  const plan = compilePlan(MODELS["resnet-20"], OPTIONS);
  const kinds = new Set([...plan.forward, ...plan.backward].map(({ kind }) => kind));
  expect(["add", "activate", "pass-gradient"].filter((kind) => kinds.has(kind as never))).toEqual([]);
  const ends = plan.forward.filter((operation) => operation.kind === "batch-norm" && operation.addend !== undefined);
  expect(ends.length).toBe(9);
  expect(ends).toSatisfy((all: readonly Operation[]) =>
    all.every((operation) => operation.kind === "batch-norm" && operation.activation?.kind === "relu"),
  );
  // A block's input is read twice where nothing projects it: by its first convolution, which adds and undoes the relu.
  const adding = plan.backward.filter((operation) => "accumulate" in operation && operation.accumulate);
  expect(adding.length).toBe(9);
  expect(adding.every((operation) => "undo" in operation && operation.undo?.activation.kind === "relu")).toBe(true);
});

test("Every tensor is written before it is read, gradients of every trained tensor are written once, in evaluation too", () => {
  for (const model of Object.values(MODELS)) {
    const plan = compilePlan(model, OPTIONS);
    for (const list of [[...plan.forward, ...plan.backward], plan.evaluation]) {
      const written = new Set<number>();
      for (const operation of list) {
        for (const id of readBy(operation))
          expect(written.has(id), `${operation.kind} reads ${plan.tensors[id]!.name}`).toBe(true);
        for (const id of writtenBy(operation)) written.add(id);
      }
    }
    const trained = plan.layout.tensors.filter(({ offset }) => offset < plan.layout.trainableElements);
    const gradients = plan.backward.flatMap(gradientsWrittenBy).map(({ name }) => name);
    expect(gradients.toSorted()).toEqual(trained.map(({ name }) => name).toSorted());
  }
});

test("A shape that does not fit is refused when the plan is compiled, and the message names the layer", () => {
  const layers: ModelDescription["layers"] = MODELS.lenet.layers;
  const model = {
    ...MODELS.lenet,
    layers: layers.with(2, { kind: "conv2d", name: "conv2", kernel: 40, channels: 50 }),
  };
  expect(() => compilePlan(model, OPTIONS)).toThrow(ModelError);
  expect(() => compilePlan(model, OPTIONS)).toThrow(
    /Layer "conv2": a 40x40 window does not fit into its input of 12x12x20/,
  );
});
