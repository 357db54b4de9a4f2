/** What `kernels_webgpu.ts` asks of the page that measures, and what the page answers. */

export interface KernelTimesOptions {
  readonly model: string;
  readonly batch: number;
  readonly rounds: number;
  readonly traits: "quads" | "plain" | "hardware";
}

export interface KernelTimes {
  readonly adapter: string;
  readonly compileMs: number;
  readonly stepMs: number;
  /** Multiply-adds with registers alone. */
  readonly peakGflops: number;
  readonly launches: readonly { readonly name: string; readonly ms: number; readonly gflops: number }[];
}
