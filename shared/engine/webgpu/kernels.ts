/**
 * Turns launches into GPU objects, all at once and once only: shader modules and pipelines are shared where source and
 * constants agree, and every launch gets its bind group. Says what does not compile with line and column.
 */

import type { ShaderSources } from "../backend.ts";
import { MAX_WORKGROUPS, type Dispatch } from "./dispatch.ts";

/**
 * What has begun to compile goes on after its device is closed: all at once would keep a machine busy for seconds after Stop. In software
 * one pipeline takes 0.2 to 1.8 s of processor time, on a GPU some 30 ms.
 */
const COMPILING = { hardware: 6, software: 2 } as const;

/** Equal for launches that share a pipeline. */
export function kernelKey({ shader, entryPoint = "main", constants }: Dispatch): string {
  const values = Object.entries(constants).map(([constant, value]) => `${constant}=${value}`);
  return `${shader} ${entryPoint} ${values.toSorted((a, b) => a.localeCompare(b)).join(" ")}`;
}

/** A launch that is ready to be encoded. */
export interface PreparedDispatch {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

/** Pipelines of one device, by shader and constants. */
export class Kernels {
  readonly #device: GPUDevice;
  readonly #sources: ShaderSources;
  readonly #isFallback: boolean;
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();
  /** Those that could not be waited for. */
  readonly #immediate = new Map<string, GPUComputePipeline>();
  /** Whose pipelines serve too. */
  #lender: Kernels | undefined;

  constructor(device: GPUDevice, sources: ShaderSources, isFallback = false) {
    this.#device = device;
    this.#sources = sources;
    this.#isFallback = isFallback;
  }

  /** Kernels that find these pipelines made, and whose own are forgotten with them. */
  branch(): Kernels {
    const branch = new Kernels(this.#device, this.#sources, this.#isFallback);
    branch.#lender = this;
    return branch;
  }

  /** Keeps what `work` needs of a branch's pipelines. */
  async borrowing(branch: Kernels, work: () => Promise<void>): Promise<void> {
    this.#lender = branch;
    try {
      await work();
    } finally {
      this.#lender = undefined;
    }
  }

  /** Several pipelines compile at the same time; rejects with a sentence that names the operation. */
  async prepare(dispatches: readonly Dispatch[]): Promise<PreparedDispatch[]> {
    const prepared: PreparedDispatch[] = [];
    const left = dispatches.entries();
    const lane = async (): Promise<void> => {
      for (const [index, dispatch] of left) prepared[index] = await this.#prepareOne(dispatch);
    };
    await Promise.all(Array.from({ length: COMPILING[this.#isFallback ? "software" : "hardware"] }, lane));
    return prepared;
  }

  /**
   * One launch, at once: the device compiles its pipeline while the caller goes on. What does not compile is reported to whoever
   * watches the device.
   */
  prepareNow(dispatch: Dispatch): PreparedDispatch {
    const key = kernelKey(dispatch);
    const { name, shader, entryPoint = "main", constants } = dispatch;
    const compute = { module: this.#module(shader), entryPoint, constants };
    const pipeline =
      this.#immediate.get(key) ?? this.#device.createComputePipeline({ label: name, layout: "auto", compute });
    this.#immediate.set(key, pipeline);
    return this.#bound(dispatch, pipeline);
  }

  async #prepareOne(dispatch: Dispatch): Promise<PreparedDispatch> {
    const { name, workgroups } = dispatch;
    if (workgroups.some((count) => count > MAX_WORKGROUPS)) {
      throw new Error(
        `"${name}" needs ${workgroups.join("x")} workgroups; a device runs ${MAX_WORKGROUPS} a dimension.`,
      );
    }
    return this.#bound(dispatch, await this.#pipeline(dispatch));
  }

  #bound({ name, bindings, workgroups }: Dispatch, pipeline: GPUComputePipeline): PreparedDispatch {
    const bindGroup = this.#device.createBindGroup({
      label: name,
      layout: pipeline.getBindGroupLayout(0),
      entries: bindings.map((resource, binding) => ({ binding, resource })),
    });
    return { name, pipeline, bindGroup, workgroups };
  }

  #pipeline(dispatch: Dispatch): Promise<GPUComputePipeline> {
    const key = kernelKey(dispatch);
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      const lender = this.#lender;
      const lent = lender && lender.#pipelines.get(key);
      pipeline = lent ?? this.#compile(dispatch);
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  async #compile({ name, shader, entryPoint = "main", constants }: Dispatch): Promise<GPUComputePipeline> {
    const module = this.#module(shader);
    try {
      return await this.#device.createComputePipelineAsync({
        label: name,
        layout: "auto",
        compute: { module, entryPoint, constants },
      });
    } catch (error) {
      const messages = await compileErrors(module, shader);
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`The kernel of "${name}" did not compile. ${messages || reason}`, { cause: error });
    }
  }

  #module(shader: string): GPUShaderModule {
    let module = this.#modules.get(shader);
    if (!module) {
      const code = this.#sources.get(shader);
      if (code === undefined) throw new Error(`The source of shader "${shader}" was not handed in.`);
      module = this.#device.createShaderModule({ label: shader, code });
      this.#modules.set(shader, module);
    }
    return module;
  }
}

/** Every error of the compiler as `file:line:column message`. */
async function compileErrors(module: GPUShaderModule, shader: string): Promise<string> {
  const { messages } = await module.getCompilationInfo();
  return messages
    .filter(({ type }) => type === "error")
    .map(({ lineNum, linePos, message }) => `${shader}.wgsl:${lineNum}:${linePos} ${message}`)
    .join("\n");
}
