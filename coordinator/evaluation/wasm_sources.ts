/** The engine's WASM modules as bytes, for whatever runs the engine inside the coordinator. */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { WasmSources } from "../../shared/engine/wasm/wasm_backend.ts";

/** The coordinator cannot evaluate: one sentence with the fix. */
export class EvaluationError extends Error {
  override readonly name = "EvaluationError";
}

const FOLDER = new URL("../../shared/engine/wasm/build/", import.meta.url);

export async function readWasmSources(folder: URL = FOLDER): Promise<WasmSources> {
  const read = async (name: string): Promise<Uint8Array<ArrayBuffer>> => {
    const url = new URL(name, folder);
    try {
      return await readFile(url);
    } catch {
      throw new EvaluationError(`${fileURLToPath(url)} is missing; run: npm run build:wasm`);
    }
  };
  const [plain, relaxed] = await Promise.all([read("plain.wasm"), read("relaxed.wasm")]);
  return { plain, relaxed };
}
