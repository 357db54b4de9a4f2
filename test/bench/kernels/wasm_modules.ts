/** The WASM that the benchmark of the `wasm` backend needs: the engine's own modules, and a probe of the processor's peaks. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as asc from "assemblyscript/asc";
import { StageError } from "./stage_error.ts";

const BUILD = new URL("../../../shared/engine/wasm/build/", import.meta.url);
const PROBE = fileURLToPath(new URL("rig/assembly/peak.ts", import.meta.url));
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

async function probe(features: readonly string[]): Promise<string> {
  let bytes: Uint8Array | undefined;
  const options = ["--runtime", "stub", "--initialMemory", "1024", "-O3", "--noAssert", ...SIMD, ...features];
  const { error } = await asc.main(["peak.ts", "--outFile", "peak.wasm", ...options], {
    readFile: (name) => (name === "peak.ts" ? readFileSync(PROBE, "utf8") : null),
    writeFile: (name, contents) => {
      if (name === "peak.wasm" && typeof contents !== "string") bytes = contents;
    },
    listFiles: () => [],
  });
  if (error || !bytes)
    throw new StageError(`The probe of WASM's peaks does not compile: ${error?.message ?? "no bytes"}`);
  return Buffer.from(bytes).toString("base64");
}
