/** What the kernel benchmarks ask of a device, and what it answers: the words between `stage.ts` and `rig/`. */

import type { Pass } from "../../../shared/engine/webgpu/choice/candidate.ts";
import type { WindowGeometry } from "../../../shared/engine/operation.ts";
import type { ModelDescription } from "../../../shared/model/model.ts";

export interface NamedProduct {
  readonly name: string;
  readonly pass: Pass;
  readonly window: WindowGeometry;
}

export type Job =
  | {
      readonly kind: "conv";
      readonly products: readonly NamedProduct[];
      /** Of the model's order; all where undefined. */
      readonly mostCandidates: number | undefined;
      /** Only candidates of these algorithms, with whole batches; all where undefined. */
      readonly algorithms: readonly string[] | undefined;
      readonly pieceMs: number;
    }
  | {
      readonly kind: "kernels";
      readonly backend: "webgpu" | "wasm";
      readonly workloads: readonly Workload[];
      /** For a real GPU only. */
      readonly largeWorkloads: readonly Workload[];
      readonly pieceMs: number;
    };

export interface Workload {
  readonly name: string;
  readonly model: ModelDescription;
  readonly batch: number;
}

/** What a rig is given. */
export interface Question {
  readonly job: Job;
  readonly shaders: Readonly<Record<string, string>>;
  readonly peaks: Readonly<Record<"fma_peak" | "copy_peak" | "nothing", string>>;
  /** In base64, where WASM is asked about: the engine's modules, and probes of its peaks. */
  readonly wasm: Readonly<Record<"plain" | "relaxed" | "plainPeak" | "relaxedPeak", string>> | undefined;
}

export interface Peaks {
  readonly adapter: string;
  readonly isFallback: boolean;
  readonly features: readonly string[];
  /** Multiply-adds in registers, two operations each. */
  readonly fmaGflops: number;
  /** Read and written by a kernel. */
  readonly copyGbPerSecond: number;
  /** One more launch in a pass, and a submit until the host hears of it. */
  readonly dispatchMs: number;
  readonly submitMs: number;
  readonly usesTimestamps: boolean;
}

export interface CandidateReport {
  readonly candidate: string;
  /** Images lowered at once. */
  readonly images: number;
  readonly modelledMs: number;
  readonly compileMs: number;
  /** For the whole batch; undefined where it failed. */
  readonly ms: number | undefined;
  readonly gflops: number | undefined;
  readonly percentOfPeak: number | undefined;
  /** A sentence. */
  readonly problem: string | undefined;
}

export interface ProductReport {
  readonly name: string;
  readonly product: string;
  readonly gflop: number;
  /** Input channels over output channels, as Caffe con Troll's rule takes them. */
  readonly channelRatio: number;
  readonly batch: number;
  readonly measuredImages: number;
  readonly rule: string;
  readonly winner: string | undefined;
  /** Where the winner stood in the model's order, from 1. */
  readonly winnersPlace: number | undefined;
  /** The rule's time over the winner's. */
  readonly gain: number | undefined;
  /** In the model's order. */
  readonly candidates: readonly CandidateReport[];
}

export interface OperationReport {
  readonly operation: string;
  readonly launches: number;
  readonly ms: number;
  /** Undefined where an operation is not made of products. */
  readonly gflops: number | undefined;
  readonly gbPerSecond: number;
  readonly percentOfFmaPeak: number | undefined;
  readonly percentOfCopyPeak: number;
  /** The least that the peaks and the dispatch floor allow. */
  readonly rooflineMs: number;
  readonly percentOfRoofline: number;
}

export interface WorkloadReport {
  readonly name: string;
  readonly batch: number;
  readonly compileMs: number;
  readonly stepMs: number;
  readonly rooflineMs: number;
  readonly operations: readonly OperationReport[];
}

export type Answer =
  | { readonly kind: "conv"; readonly peaks: Peaks; readonly products: readonly ProductReport[] }
  | { readonly kind: "kernels"; readonly peaks: Peaks; readonly workloads: readonly WorkloadReport[] }
  | { readonly kind: "failed"; readonly sentence: string };
