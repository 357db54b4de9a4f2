/**
 * What Node's WebAssembly offers, as far as the center uses it. @types/node does not describe it, and the library that
 * does (`dom`) would let the whole coordinator speak of windows and documents.
 */

declare const compiled: unique symbol;

/** Compiled code; it travels to worker threads by structured clone and is only instantiated there. */
export interface WasmModule {
  readonly [compiled]: true;
}

/** A shared memory. After `grow` only a newly read `buffer` shows the new part. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
  grow(pages: number): number;
}

interface WasmApi {
  readonly Memory: new (limits: { initial: number; maximum: number; shared: true }) => WasmMemory;
  readonly Instance: new (module: WasmModule, imports: object) => { readonly exports: unknown };
  compile(source: Uint8Array): Promise<WasmModule>;
}

export const webAssembly = (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;

export const WASM_PAGE_BYTES = 65_536;
