/** The engine's two WASM modules for tests that run in Node. `npm run build:wasm` makes them. */

import { readFileSync } from "node:fs";
import type { WasmSources } from "../../shared/engine/wasm/wasm_backend.ts";

function bytesOf(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(`../../shared/engine/wasm/build/${name}.wasm`, import.meta.url)));
}

export const WASM_MODULES = { plain: bytesOf("plain"), relaxed: bytesOf("relaxed") };

/** The same for several threads. */
export const SHARED_WASM_MODULES = { plain: bytesOf("plain_shared"), relaxed: bytesOf("relaxed_shared") };

/** Both variants as sources of a backend: for plain the other is one that no engine accepts. */
export const WASM_VARIANTS: readonly (readonly [name: string, sources: WasmSources])[] = [
  ["plain", { plain: WASM_MODULES.plain, relaxed: new Uint8Array([0]) }],
  ["relaxed", WASM_MODULES],
];
