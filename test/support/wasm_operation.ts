/** Runs one operation of a plan in a WASM module, on random inputs and poisoned outputs, and compares it with the reference. */

import type { Operation, TensorId } from "../../shared/engine/operation.ts";
import { gradientsWrittenBy, readBy, writtenBy } from "../../shared/engine/operation_tensors.ts";
import type { Plan } from "../../shared/engine/plan.ts";
import { invocationsOf } from "../../shared/engine/wasm/invocations.ts";
import { instantiate, invoke } from "../../shared/engine/wasm/kernels.ts";
import { MemoryMap } from "../../shared/engine/wasm/memory_map.ts";
import { webAssembly, type WasmModule } from "../../shared/engine/wasm/webassembly.ts";
import type { Random } from "../../shared/random.ts";
import { comparisonOf, type Comparison } from "../reference/allowed_errors.ts";
import {
  gradientsReadBy,
  parametersWrittenBy,
  randomMemory,
  wholeNumberTensors,
} from "../reference/operation_memory.ts";
import type { ReferenceMemory } from "../reference/operations.ts";
import { touched, wrongRange } from "../reference/ranges.ts";
import { firstOutside } from "../reference/tolerance.ts";
import { WASM_MODULES } from "./wasm_modules.ts";

const WORD_BYTES = 4;

const modules = new Map<keyof typeof WASM_MODULES, Promise<WasmModule>>();

function compiled(variant: keyof typeof WASM_MODULES): Promise<WasmModule> {
  const module = modules.get(variant) ?? webAssembly.compile(WASM_MODULES[variant]);
  modules.set(variant, module);
  return module;
}

/** What is wrong with what the operation wrote, as a sentence; undefined if nothing is. */
export async function wasmMismatch(
  variant: keyof typeof WASM_MODULES,
  plan: Plan,
  operation: Operation,
  random: Random,
): Promise<string | undefined> {
  const map = new MemoryMap(plan);
  const invocations = invocationsOf(operation, map);
  const instance = await instantiate(await compiled(variant), map);
  const { memory } = instance;
  const inputs = randomMemory(plan, operation, random);
  const comparison = comparisonOf(operation, inputs);
  upload(memory, map, operation, inputs);
  invoke(instance, invocations);
  const found = wrongTensor(memory, map, operation, comparison) ?? wrongVector(memory, map, operation, comparison);
  return found && `${operation.kind}, ${found}`;
}

function floats(memory: ArrayBuffer, address: number, length: number): Float32Array {
  return new Float32Array(memory, address, length);
}

function words(memory: ArrayBuffer, address: number, length: number): Uint32Array {
  return new Uint32Array(memory, address, length);
}

/** Writes what the operation reads, and NaN everywhere else but in the tables. */
function upload(memory: ArrayBuffer, map: MemoryMap, operation: Operation, from: ReferenceMemory): void {
  const { plan } = map;
  floats(memory, 0, memory.byteLength / WORD_BYTES).fill(Number.NaN);
  for (const { address, words: table } of map.tables) words(memory, address, table.length).set(table);
  new Uint8Array(memory, map.images, from.images.length).set(from.images);
  new Uint8Array(memory, map.labels, from.labels.length).set(from.labels);
  words(memory, map.examples, plan.microBatch).set(Array.from(from.examples));
  words(memory, map.draw, 1)[0] = from.draw;
  words(memory, map.stepExamples, 1)[0] = plan.batch;
  floats(memory, map.parameters, plan.layout.elements).set(from.parameters);
  for (const { offset, elements } of gradientsReadBy(operation)) {
    const target = floats(memory, map.gradient + WORD_BYTES * offset, elements);
    target.set(from.gradient.subarray(offset, offset + elements));
  }
  const whole = wholeNumberTensors(plan);
  for (const id of readBy(operation)) {
    const values = from.tensors[id]!;
    if (whole.has(id)) words(memory, map.tensor(id), values.length).set(values);
    else floats(memory, map.tensor(id), values.length).set(values);
  }
  if (operation.kind === "place-channels") uploadOtherParts(memory, map, operation, from);
}

/** A concatenation's other parts must stay as they are. */
function uploadOtherParts(
  memory: ArrayBuffer,
  map: MemoryMap,
  operation: Extract<Operation, { kind: "place-channels" }>,
  from: ReferenceMemory,
): void {
  const { output, outputChannels, offset, channels } = operation;
  const isMine = (index: number): boolean => {
    const channel = index % outputChannels;
    return channel >= offset && channel < offset + channels;
  };
  const values = from.tensors[output]!;
  floats(memory, map.tensor(output), values.length).set(
    values.map((value, index) => (isMine(index) ? Number.NaN : value)),
  );
}

function wrongTensor(
  memory: ArrayBuffer,
  map: MemoryMap,
  operation: Operation,
  { expected, allowed }: Comparison,
): string | undefined {
  const { plan } = map;
  const whole = wholeNumberTensors(plan);
  const wrong = (id: TensorId): string | undefined => {
    const { length } = expected.tensors[id]!;
    const actual = (whole.has(id) ? words : floats)(memory, map.tensor(id), length);
    return firstOutside(actual, expected.tensors[id]!, allowed.tensors[id]!);
  };
  for (const id of writtenBy(operation)) {
    const found = wrong(id);
    if (found) return `${plan.tensors[id]!.name}: ${found}`;
  }
  return undefined;
}

/** In the vectors of gradients and parameters: what is wrong, and what was written that should not be. */
function wrongVector(
  memory: ArrayBuffer,
  map: MemoryMap,
  operation: Operation,
  { expected, allowed }: Comparison,
): string | undefined {
  const { elements } = map.plan.layout;
  const gradient = floats(memory, map.gradient, elements);
  const parameters = floats(memory, map.parameters, elements);
  const writtenParameters = parametersWrittenBy(operation);
  return (
    wrongRange(gradient, expected.gradient, allowed.gradient, gradientsWrittenBy(operation)) ??
    wrongRange(parameters, expected.parameters, allowed.parameters, writtenParameters) ??
    touched(gradient, [...gradientsWrittenBy(operation), ...gradientsReadBy(operation)], (value) =>
      Number.isNaN(value),
    ) ??
    touched(parameters, writtenParameters, (value, index) => value === expected.parameters[index])
  );
}
