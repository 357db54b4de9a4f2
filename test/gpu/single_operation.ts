/** Runs one operation of a compiled program on random inputs and poisoned outputs, and compares it with the reference. */

import { gradientsWrittenBy, tensorsOf, writtenBy, type Operation } from "../../shared/engine/operation.ts";
import type { PreparedDispatch } from "../../shared/engine/webgpu/kernels.ts";
import { runPass, type WebGpuProgram } from "../../shared/engine/webgpu/webgpu_program.ts";
import type { Random } from "../../shared/random.ts";
import { runOperation, sumLengthOf, type ReferenceMemory } from "../reference/operations.ts";
import { firstMismatch } from "../reference/tolerance.ts";
import type { TestDevice } from "./gpu_device.ts";
import { magnitudesOf, randomMemory, wholeNumberTensors } from "../reference/operation_memory.ts";

/** The first element of any operation that is wrong or was not written, as a sentence. */
export async function firstWrongOperation(
  { device, read }: TestDevice,
  program: WebGpuProgram,
  random: Random,
): Promise<string | undefined> {
  const { plan, launches } = program;
  const all = [
    ...plan.forward.map((operation, at) => ({ operation, launch: launches.forward[at]! })),
    ...plan.backward.map((operation, at) => ({ operation, launch: launches.backward[at]! })),
  ];
  for (const { operation, launch } of all) {
    const expected = randomMemory(plan, operation, random);
    upload(device.queue, program, operation, expected);
    submit(device, launch);
    const magnitudes = magnitudesOf(operation, expected);
    runOperation(operation, expected);
    const wrong =
      (await wrongTensor(program, operation, expected, magnitudes, read)) ??
      (await wrongGradient(program, operation, expected, magnitudes, read));
    if (wrong) return `${operation.kind}, ${wrong}`;
  }
  return undefined;
}

function submit(device: GPUDevice, launch: readonly PreparedDispatch[]): void {
  const encoder = device.createCommandEncoder();
  runPass(encoder, launch);
  device.queue.submit([encoder.finish()]);
}

/** Writes the inputs, and NaN wherever the operation must write. */
function upload(queue: GPUQueue, program: WebGpuProgram, operation: Operation, from: ReferenceMemory): void {
  const { plan, memory } = program;
  const whole = wholeNumberTensors(plan);
  const outputs = new Set(writtenBy(operation));
  program.loadExamples(0, from.images, from.labels);
  queue.writeBuffer(memory.examples, 0, Uint32Array.from(Array.from(from.examples)));
  queue.writeBuffer(memory.vectors.parameters, 0, Float32Array.from(from.parameters));
  queue.writeBuffer(memory.vectors.gradient, 0, new Float32Array(plan.layout.elements).fill(Number.NaN));
  for (const scratch of [memory.scratch, memory.scratchProducts]) {
    queue.writeBuffer(scratch, 0, new Float32Array(scratch.size / 4).fill(Number.NaN));
  }
  for (const id of tensorsOf(operation)) {
    const values = from.tensors[id]!;
    const { buffer } = memory.tensor(id);
    if (outputs.has(id)) queue.writeBuffer(buffer, 0, new Float32Array(values.length).fill(Number.NaN));
    else queue.writeBuffer(buffer, 0, whole.has(id) ? Uint32Array.from(values) : Float32Array.from(values));
  }
}

async function wrongTensor(
  { plan, memory }: WebGpuProgram,
  operation: Operation,
  expected: ReferenceMemory,
  magnitudes: ReferenceMemory,
  read: TestDevice["read"],
): Promise<string | undefined> {
  const whole = wholeNumberTensors(plan);
  for (const id of writtenBy(operation)) {
    const values = expected.tensors[id]!;
    const words = await read(memory.tensor(id).buffer, 0, values.length);
    const actual = whole.has(id) ? new Uint32Array(words) : new Float32Array(words);
    const found = firstMismatch(actual, values, magnitudes.tensors[id]!, sumLengthOf(operation));
    if (found) return `${plan.tensors[id]!.name}: ${found}`;
  }
  return undefined;
}

async function wrongGradient(
  { plan, memory }: WebGpuProgram,
  operation: Operation,
  expected: ReferenceMemory,
  magnitudes: ReferenceMemory,
  read: TestDevice["read"],
): Promise<string | undefined> {
  const tensors = gradientsWrittenBy(operation);
  if (tensors.length === 0) return undefined;
  const all = new Float32Array(await read(memory.vectors.gradient, 0, plan.layout.elements));
  for (const { name, offset, elements } of tensors) {
    const slice = <T extends Float32Array | Float64Array>(vector: T): T =>
      vector.subarray(offset, offset + elements) as T;
    const found = firstMismatch(
      slice(all),
      slice(expected.gradient),
      slice(magnitudes.gradient),
      sumLengthOf(operation),
    );
    if (found) return `gradient of ${name}: ${found}`;
  }
  const written = all.filter((value) => !Number.isNaN(value)).length;
  const due = tensors.reduce((sum, { elements }) => sum + elements, 0);
  return written === due ? undefined : `it wrote ${written} gradients instead of ${due}`;
}
