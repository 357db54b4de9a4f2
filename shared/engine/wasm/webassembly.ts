/**
 * The part of the WebAssembly API that the backend uses, typed here: this folder compiles without the DOM's and Node's type
 * libraries, and whoever includes it brings one or the other of them.
 */

/** A `WebAssembly.Module`. */
export interface WasmModule {
  readonly moduleBrand?: never;
}

/** A `WebAssembly.Memory`. */
export interface WasmMemory {
  /** In truth a `SharedArrayBuffer` where the memory is shared; views over it are the same. */
  readonly buffer: ArrayBuffer;
}

interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>;
}

export type WasmBytes = ArrayBuffer | Uint8Array<ArrayBuffer>;

interface WebAssemblyApi {
  readonly Memory: new (limits: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared?: boolean;
  }) => WasmMemory;
  validate(bytes: WasmBytes): boolean;
  compile(bytes: WasmBytes): Promise<WasmModule>;
  instantiate(
    module: WasmModule,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ): Promise<WasmInstance>;
}

export const webAssembly = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly;
