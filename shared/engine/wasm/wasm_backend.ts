/**
 * The WASM backend: trains a plan on the CPU with SIMD kernels, in a page's worker or in Node. Of the two modules it takes
 * the one with relaxed (fused) multiply-add where the engine accepts it.
 */

import type { Backend } from "../backend.ts";
import type { Plan } from "../plan.ts";
import type { Threading } from "./execution.ts";
import type { VirtualProgram } from "./replica_states.ts";
import { compileProgram } from "./wasm_program.ts";
import { webAssembly, type WasmBytes, type WasmModule } from "./webassembly.ts";

/** A module's bytes, or the module compiled already (which workers can share). */
type WasmSource = WasmBytes | WasmModule;

/** Of each the build for several threads (`…_shared.wasm`) where the backend is to have them. */
export interface WasmSources {
  /** `build/plain.wasm`: SIMD only. */
  readonly plain: WasmSource;
  /** `build/relaxed.wasm`: SIMD with relaxed multiply-add. */
  readonly relaxed: WasmSource;
}

/** Threads need shared memory: in a page that is cross-origin isolated, or in Node. */
export async function createWasmBackend(
  { plain, relaxed }: WasmSources,
  threading?: Threading,
): Promise<Backend<VirtualProgram>> {
  const { fused, module } = await takeModule({ plain, relaxed });
  const threads = threading?.threads ?? 1;
  return {
    name: "wasm",
    device: `WASM SIMD, ${fused ? "relaxed" : "plain"} multiply-add, ${threads} ${threads === 1 ? "thread" : "threads"}`,
    isFallback: false,
    lost: new Promise(() => undefined),
    compile: (plan) => compileProgram(module, plan, threading),
    close: () => undefined,
  };
}

/** A plan as a program for many replicas, one at a time (`replica_states.ts`), on the thread that asks. */
export async function compileVirtual(sources: WasmSources, plan: Plan): Promise<VirtualProgram> {
  const { module } = await takeModule(sources);
  return compileProgram(module, plan);
}

async function takeModule({ plain, relaxed }: WasmSources): Promise<{ fused: boolean; module: WasmModule }> {
  const fused = !isBytes(relaxed) || webAssembly.validate(relaxed);
  return { fused, module: await compiled(fused ? relaxed : plain) };
}

function isBytes(source: WasmSource): source is WasmBytes {
  return source instanceof ArrayBuffer || source instanceof Uint8Array;
}

async function compiled(source: WasmSource): Promise<WasmModule> {
  return isBytes(source) ? webAssembly.compile(source) : source;
}
