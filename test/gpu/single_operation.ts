/** Runs one operation of a compiled program on random inputs and poisoned outputs, and compares it with the reference. */

import type { Operation, OperationOf } from "../../shared/engine/operation.ts";
import { gradientsWrittenBy, readBy, tensorsOf, writtenBy } from "../../shared/engine/operation_tensors.ts";
import type { PreparedDispatch } from "../../shared/engine/webgpu/kernels.ts";
import { runPass, type WebGpuProgram } from "../../shared/engine/webgpu/webgpu_program.ts";
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
import type { TestDevice } from "./gpu_device.ts";

type Reader = Pick<TestDevice, "device" | "read">;

/** The first element of any operation that is wrong or was not written, as a sentence. */
export async function firstWrongOperation(
  reader: Reader,
  program: WebGpuProgram,
  random: Random,
  isWanted: (operation: Operation) => boolean = () => true,
): Promise<string | undefined> {
  const { plan, launches } = program;
  const evaluation = plan.evaluation === plan.forward ? [] : plan.evaluation;
  const all = [
    ...plan.forward.map((operation, at) => ({ operation, launch: launches.forward[at]! })),
    ...plan.backward.map((operation, at) => ({ operation, launch: launches.backward[at]! })),
    ...evaluation.map((operation, at) => ({ operation, launch: launches.evaluation[at]! })),
  ];
  for (const { operation, launch } of all) {
    if (!isWanted(operation)) continue;
    const inputs = randomMemory(plan, operation, random);
    upload(reader.device.queue, program, operation, inputs);
    submit(reader.device, launch);
    const comparison = comparisonOf(operation, inputs);
    const wrong =
      (await wrongTensor(program, operation, comparison, reader.read)) ??
      (await wrongVector(program, operation, comparison, reader.read));
    if (wrong) return `${operation.kind}${"name" in operation ? ` of ${operation.name}` : ""}, ${wrong}`;
  }
  return undefined;
}

function submit(device: GPUDevice, launch: readonly PreparedDispatch[]): void {
  const encoder = device.createCommandEncoder();
  runPass(encoder, launch);
  device.queue.submit([encoder.finish()]);
}

function poison(elements: number): Float32Array<ArrayBuffer> {
  return new Float32Array(elements).fill(Number.NaN);
}

/** Writes the inputs, and NaN wherever the operation must write. */
function upload(queue: GPUQueue, program: WebGpuProgram, operation: Operation, from: ReferenceMemory): void {
  const { plan, memory } = program;
  const { elements } = plan.layout;
  const whole = wholeNumberTensors(plan);
  const inputs = new Set(readBy(operation));
  program.loadExamples(0, from.images, from.labels);
  queue.writeBuffer(memory.examples.buffer, memory.examples.offset!, Uint32Array.from(Array.from(from.examples)));
  queue.writeBuffer(memory.clock.buffer, 0, Uint32Array.of(from.draw, plan.batch));
  queue.writeBuffer(memory.vectors.parameters, 0, Float32Array.from(from.parameters));
  const gradient = poison(elements);
  for (const { offset, elements: count } of gradientsReadBy(operation)) {
    gradient.set(from.gradient.subarray(offset, offset + count), offset);
  }
  queue.writeBuffer(memory.vectors.gradient, 0, gradient);
  for (const scratch of [memory.scratch, memory.scratchProducts])
    queue.writeBuffer(scratch, 0, poison(scratch.size / 4));
  for (const id of tensorsOf(operation)) {
    const values = from.tensors[id]!;
    const { buffer } = memory.tensor(id);
    // Slots are shared: what lies behind a tensor is another's.
    queue.writeBuffer(buffer, 0, poison(buffer.size / 4));
    if (!inputs.has(id)) continue;
    queue.writeBuffer(buffer, 0, whole.has(id) ? Uint32Array.from(values) : Float32Array.from(values));
  }
  if (operation.kind === "place-channels") uploadOtherParts(queue, program, operation, from);
}

/** A concatenation's other parts must stay as they are. */
function uploadOtherParts(
  queue: GPUQueue,
  { memory }: WebGpuProgram,
  { output, outputChannels, offset, channels }: OperationOf<"place-channels">,
  from: ReferenceMemory,
): void {
  const others = Float32Array.from(from.tensors[output]!, (value, index) => {
    const channel = index % outputChannels;
    return channel >= offset && channel < offset + channels ? Number.NaN : value;
  });
  queue.writeBuffer(memory.tensor(output).buffer, 0, others);
}

async function wrongTensor(
  { plan, memory }: WebGpuProgram,
  operation: Operation,
  { expected, allowed }: Comparison,
  read: Reader["read"],
): Promise<string | undefined> {
  const whole = wholeNumberTensors(plan);
  for (const id of writtenBy(operation)) {
    const values = expected.tensors[id]!;
    const words = await read(memory.tensor(id).buffer, 0, values.length);
    const actual = whole.has(id) ? new Uint32Array(words) : new Float32Array(words);
    const found = firstOutside(actual, values, allowed.tensors[id]!);
    if (found) return `${plan.tensors[id]!.name}: ${found}`;
  }
  return undefined;
}

/** In the vectors of gradients and parameters: what is wrong, and what was written that should not be. */
async function wrongVector(
  { plan, memory }: WebGpuProgram,
  operation: Operation,
  { expected, allowed }: Comparison,
  read: Reader["read"],
): Promise<string | undefined> {
  const { elements } = plan.layout;
  const { gradient, parameters } = memory.vectors;
  const gradients = gradientsWrittenBy(operation);
  if (gradients.length > 0) {
    const actual = new Float32Array(await read(gradient, 0, elements));
    const found =
      wrongRange(actual, expected.gradient, allowed.gradient, gradients) ??
      touched(actual, gradients, (value) => Number.isNaN(value));
    if (found) return `gradient of ${found}`;
  }
  const moved = parametersWrittenBy(operation);
  if (moved.length === 0) return undefined;
  const actual = new Float32Array(await read(parameters, 0, elements));
  return (
    wrongRange(actual, expected.parameters, allowed.parameters, moved) ??
    touched(actual, moved, (value, index) => value === expected.parameters[index])
  );
}
