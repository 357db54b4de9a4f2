/**
 * How the kernel calls of a program's parts are run: by the thread that asks for them, or by a team of threads. Used by
 * `wasm_program.ts` alone.
 */

import { invocationsOf } from "./invocations.ts";
import { instantiate, invoke, type Instance, type Invocation } from "./kernels.ts";
import type { MemoryMap } from "./memory_map.ts";
import type { MemoryView, Part } from "./memory_view.ts";
import { partsOf } from "./threads/parts.ts";
import { Staging, type Stage } from "./threads/stages.ts";
import { Team, type StartHelper } from "./threads/team.ts";
import { sharedTensors, ThreadView } from "./threads/thread_view.ts";
import type { WasmModule } from "./webassembly.ts";

export type ProgramPart = "forward" | "backward" | "evaluation";

/** What a program runs on: a module, and threads where its memory can be shared. */
export interface Threading {
  /** The calling one included. */
  readonly threads: number;
  readonly startHelper: StartHelper;
}

export interface Execution {
  /** Where the images of a batch are, by thread. */
  readonly views: readonly MemoryView[];
  run(part: ProgramPart): void;
  close(): void;
}

/** Memory and kernels of one program, and how its parts are run. */
export interface Opened {
  readonly instance: Instance;
  readonly execution: Execution;
}

/** `module` must be built for shared memory where `threading` is given. */
export async function openExecution(
  module: WasmModule,
  map: MemoryMap,
  threading: Threading | undefined,
): Promise<Opened> {
  const parts = partsOf(map.plan.microBatch, threading?.threads ?? 1);
  return threading && parts.length > 1
    ? openTeam(module, map, threading, parts)
    : openAlone(module, map, threading !== undefined);
}

async function openAlone(module: WasmModule, map: MemoryMap, isShared: boolean): Promise<Opened> {
  const { plan } = map;
  const forward = plan.forward.flatMap((operation) => invocationsOf(operation, map));
  const calls: Readonly<Record<ProgramPart, readonly Invocation[]>> = {
    forward,
    backward: plan.backward.flatMap((operation) => invocationsOf(operation, map)),
    evaluation:
      plan.evaluation === plan.forward
        ? forward
        : plan.evaluation.flatMap((operation) => invocationsOf(operation, map)),
  };
  const instance = await instantiate(module, map, isShared);
  return {
    instance,
    execution: { views: [map], run: (part) => invoke(instance, calls[part]), close: () => undefined },
  };
}

async function openTeam(
  module: WasmModule,
  map: MemoryMap,
  { startHelper }: Threading,
  parts: readonly Part[],
): Promise<Opened> {
  const { plan } = map;
  const shared = sharedTensors(map);
  const views = parts.map((part, thread) => new ThreadView(map, shared, part, thread === 0));
  const staging = new Staging(map, views);
  const forward = staging.stagesOf(plan.forward);
  const stages: Readonly<Record<ProgramPart, readonly Stage[]>> = {
    forward,
    backward: [...staging.stagesOf(plan.backward), ...staging.gradientSum()],
    evaluation: plan.evaluation === plan.forward ? forward : staging.stagesOf(plan.evaluation),
  };
  const instance = await instantiate(module, map, true);
  const all = [...new Set(Object.values(stages).flat())];
  const lists = all.map((stage) => stage.parts);
  const team = await Team.start(module, instance, lists, parts.length, startHelper);
  const numbers = new Map(all.map((stage, list) => [stage, list]));
  const run = (part: ProgramPart): void => {
    for (const stage of stages[part]) {
      team.run(numbers.get(stage)!);
      invoke(instance, stage.own);
    }
  };
  return { instance, execution: { views, run, close: () => team.close() } };
}
