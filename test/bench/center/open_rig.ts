/** The memory of the center benchmark and its two threads: the vectors that they move, and in every codec the words of a push. */

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { CenterMemory } from "../../../coordinator/center/center_memory.ts";
import { codecNumber, instantiateKernels } from "../../../coordinator/center/kernels.ts";
import type { WasmModule } from "../../../coordinator/center/wasm_api.ts";
import { Random } from "../../../shared/random.ts";
import { CODEC_NAMES, type CodecName } from "../../../shared/wire/codec/codec.ts";
import { Rendezvous, type CodecVectors, type FromRig, type RigData, type ToRig } from "./rig.ts";

export interface Rig {
  readonly memory: CenterMemory;
  readonly ones: number;
  run(message: ToRig): Promise<FromRig>;
  close(): Promise<void>;
}

/** What a replica's parameters move by in a period, most of them by less. */
const STEP = 1e-3;

export async function openRig(module: WasmModule, elements: number, areasEach: number): Promise<Rig> {
  const memory = new CenterMemory({ elements, trainableElements: elements, tensors: [] });
  const areas = Array.from({ length: areasEach * 2 }, () => memory.takeArea());
  const ones = memory.takeArea();
  memory.values(ones).fill(1);
  const random = new Random(1);
  for (const vector of [memory.layout.center, ...areas]) {
    const values = memory.values(vector);
    for (let k = 0; k < elements; k++) values[k] = random.uniform() * 2 - 1;
  }
  const codecs = codecVectors(module, memory, random);
  const rendezvous = Rendezvous.buffer();
  const threads = ([0, 1] as const).map((index) => {
    const own = areas.filter((_area, position) => position % 2 === index);
    const { layout, memory: shared } = memory;
    const workerData: RigData = { module, memory: shared, layout, rendezvous, index, areas: own, codecs };
    return new Worker(new URL("./thread.ts", import.meta.url), { workerData });
  });
  const [first] = threads;
  if (!first) throw new Error("invariant violation: a rig without threads");
  return {
    memory,
    ones,
    run: async (message) => {
      const reply = once(first, "message");
      for (const thread of threads) thread.postMessage(message);
      const [timesMs] = (await reply) as [FromRig];
      return timesMs;
    },
    close: async () => {
      await Promise.all(threads.map((thread) => thread.terminate()));
    },
  };
}

function codecVectors(module: WasmModule, memory: CenterMemory, random: Random): CodecVectors {
  const { elements, layout } = memory;
  const [base, room, parameters, sent] = [memory.takeArea(), memory.takeArea(), memory.takeArea(), memory.takeArea()];
  memory.values(base).set(memory.values(layout.center));
  const [from, to] = [memory.values(base), memory.values(parameters)];
  for (let k = 0; k < elements; k++)
    to[k] = from[k]! + STEP * (random.uniform() * 2 - 1) * (random.uniform() < 0.1 ? 10 : 1);
  const kernels = instantiateKernels(module, memory.memory);
  const words = CODEC_NAMES.map((codec): [CodecName, number] => {
    const area = memory.takeArea();
    if (codec !== "f32") kernels.encode(codecNumber(codec), parameters, base, sent, area, elements);
    return [codec, area];
  });
  for (const area of [parameters, sent]) memory.returnArea(area);
  return { base, room, words: Object.fromEntries(words) as CodecVectors["words"] };
}
