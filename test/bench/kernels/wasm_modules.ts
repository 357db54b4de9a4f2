/** The WASM that the benchmark of the `wasm` backend needs: the engine's own modules, and a probe of the processor's peaks. */

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { StageError } from "./stage_error.ts";

const BUILD = new URL("../../../shared/engine/wasm/build/", import.meta.url);
const PROBE = fileURLToPath(new URL("rig/assembly/peak.ts", import.meta.url));
const ASC = fileURLToPath(import.meta.resolve("assemblyscript/bin/asc.js"));
const SIMD = ["--enable", "simd", "--enable", "bulk-memory"];
const RELAXED = ["--enable", "relaxed-simd"];

/** In base64, by name. */
export async function wasmInBase64(): Promise<Record<"plain" | "relaxed" | "plainPeak" | "relaxedPeak", string>> {
  return {
    plain: built("plain"),
    relaxed: built("relaxed"),
    plainPeak: await probe([]),
    relaxedPeak: await probe(RELAXED),
  };
}

function built(name: string): string {
  return readFileSync(new URL(`${name}.wasm`, BUILD)).toString("base64");
}

/** By the command, because the package's types would redeclare JavaScript's own. */
async function probe(features: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "drove-peak-"));
  const file = join(folder, "peak.wasm");
  const options = ["--runtime", "stub", "--initialMemory", "1024", "-O3", "--noAssert", ...SIMD, ...features];
  try {
    await promisify(execFile)(process.execPath, [ASC, PROBE, "--outFile", file, ...options]);
    return (await readFile(file)).toString("base64");
  } catch (error) {
    throw new StageError(`The probe of WASM's peaks does not compile: ${String(error)}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}
