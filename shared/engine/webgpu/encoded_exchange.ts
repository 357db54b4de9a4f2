/**
 * A program's half of an exchange in any codec and any fragment (SPEC C, X17), on the device: only what is encoded is read back,
 * and only encoded changes are uploaded. Used by `webgpu_program.ts` alone.
 *
 * A run has one codec each way, so what a codec needs (its pipelines, room for a payload, the residual of gradients) is made at
 * its first use and kept (SPEC E1). Fragments share all of it: the kernels are told a range.
 */

import type { CenterNews, TakenPayload, TakeRequest } from "../backend.ts";
import { BLOCK_ELEMENTS, encodedBytes, wholeOf, type CodecName, type Fragment } from "../../wire/codec/codec.ts";
import { isFiniteEncoding } from "../../wire/codec/payload_check.ts";
import { folded, type Dispatch } from "./dispatch.ts";
import type { PreparedDispatch } from "./kernels.ts";
import { runPass } from "./launches.ts";
import type { PlanMemory } from "./memory.ts";
import type { Taking } from "./taking.ts";

const WORD_BYTES = 4;
const VECTOR_ELEMENTS = 4;
/**
 * A workgroup's share of a range, in `shaders/codec_*.wgsl` (where an invocation has a sixteenth of a block, or a whole one) and in
 * `elastic_settle.wgsl`.
 */
const CODEC_BLOCKS = 4;
const WHOLE_BLOCKS = 64;
const SETTLE_VECTORS = 256;
/** What these make of one element depends on all of a block. */
const BLOCKWISE: ReadonlySet<CodecName> = new Set(["int8", "int4", "top-k", "sign"]);

export interface ExchangeDevice {
  readonly queue: GPUQueue;
  /** Pipelines that have not been made are made at once, and used before they are ready. */
  launch(dispatch: Dispatch): PreparedDispatch;
  submit(encode: (encoder: GPUCommandEncoder) => void): void;
  readonly taking: Taking;
}

type Direction = "difference" | "gradient" | "decode";

export class EncodedExchange {
  readonly #device: ExchangeDevice;
  readonly #memory: PlanMemory;
  readonly #settle: PreparedDispatch;
  readonly #launches = new Map<string, PreparedDispatch>();
  readonly #payloads = new Map<CodecName, GPUBuffer>();
  #range: GPUBuffer | undefined;
  /** What encoded gradients have left out; made when the first one is taken. */
  #residual: GPUBuffer | undefined;

  constructor(device: ExchangeDevice, memory: PlanMemory, settle: PreparedDispatch) {
    this.#device = device;
    this.#memory = memory;
    this.#settle = settle;
  }

  /** `statistics` run before a gradient is encoded. */
  async take(request: TakeRequest, statistics: readonly PreparedDispatch[]): Promise<TakenPayload> {
    const { what, codec, fragment } = request;
    const { taking } = this.#device;
    const bytes = encodedBytes(codec, fragment.toElement - fragment.fromElement);
    const loss = await taking.take(bytes, (encoder) => {
      if (what === "gradient" && statistics.length > 0) runPass(encoder, statistics);
      return this.#encode(encoder, request);
    });
    const { buffer } = taking.taken;
    const isFinite = isFiniteEncoding(codec, new Uint32Array(buffer, 0, bytes / WORD_BYTES));
    // What is left of a gradient that is not finite is worth nothing.
    if (!isFinite && what === "gradient") this.#forgetRest(fragment);
    return { payload: new Uint8Array(buffer, 0, bytes), isFinite, ...loss };
  }

  /** Gradients have left nothing out. */
  forgetAll(): void {
    this.#forgetRest(wholeOf(this.#memory.plan.layout.elements));
  }

  unsend({ fromElement, toElement }: Fragment): void {
    const { base, sent } = this.#memory.vectors;
    const [offset, size] = [fromElement * WORD_BYTES, (toElement - fromElement) * WORD_BYTES];
    this.#device.submit((encoder) => encoder.copyBufferToBuffer(base, offset, sent, offset, size));
  }

  /** base <- news. */
  receive(news: CenterNews): void {
    const { queue } = this.#device;
    const { fragment } = news;
    if (news.kind === "values") {
      queue.writeBuffer(this.#memory.vectors.base, fragment.fromElement * WORD_BYTES, news.values);
      return;
    }
    if (fragment.toElement === fragment.fromElement || news.deltas.length === 0) return;
    const launch = this.#over(this.#launch(news.codec, "decode"), fragment, CODEC_BLOCKS);
    const payload = this.#payload(news.codec);
    for (const delta of news.deltas) {
      queue.writeBuffer(payload, 0, delta);
      this.#device.submit((encoder) => runPass(encoder, [launch]));
    }
  }

  /** parameters <- parameters - pull * (sent - base). */
  settle({ fromElement, toElement }: Fragment, pull: number): void {
    const [first, end] = [fromElement / VECTOR_ELEMENTS, toElement / VECTOR_ELEMENTS];
    const words = Uint32Array.of(0, first, end);
    new Float32Array(words.buffer)[0] = pull;
    this.#device.queue.writeBuffer(this.#memory.pull, 0, words);
    const workgroups = folded(Math.ceil((end - first) / SETTLE_VECTORS));
    this.#device.submit((encoder) => runPass(encoder, [{ ...this.#settle, workgroups }]));
  }

  /** parameters <- base. */
  restart({ fromElement, toElement }: Fragment): void {
    const { base, parameters } = this.#memory.vectors;
    const [offset, size] = [fromElement * WORD_BYTES, (toElement - fromElement) * WORD_BYTES];
    this.#device.submit((encoder) => encoder.copyBufferToBuffer(base, offset, parameters, offset, size));
  }

  /** Returns where what is encoded will be. */
  #encode(encoder: GPUCommandEncoder, { what, codec, fragment }: TakeRequest): GPUBufferBinding {
    const { fromElement, toElement } = fragment;
    // Nothing to add, and nothing to encode.
    if (what === "gradient" && codec === "f32" && !this.#residual) {
      return { buffer: this.#memory.vectors.gradient, offset: fromElement * WORD_BYTES };
    }
    const blocksEach = BLOCKWISE.has(codec) ? WHOLE_BLOCKS : CODEC_BLOCKS;
    if (toElement > fromElement) runPass(encoder, [this.#over(this.#launch(codec, what), fragment, blocksEach)]);
    return { buffer: this.#payload(codec) };
  }

  #forgetRest({ fromElement, toElement }: Fragment): void {
    const residual = this.#residual;
    if (!residual) return;
    const size = (toElement - fromElement) * WORD_BYTES;
    this.#device.submit((encoder) => encoder.clearBuffer(residual, fromElement * WORD_BYTES, size));
  }

  /** The launch for a range, which the next submits are told. */
  #over(launch: PreparedDispatch, { fromElement, toElement }: Fragment, blocksEach: number): PreparedDispatch {
    const words = Uint32Array.of(fromElement / VECTOR_ELEMENTS, toElement / VECTOR_ELEMENTS);
    this.#device.queue.writeBuffer(this.#heldRange(), 0, words);
    const blocks = Math.ceil((toElement - fromElement) / BLOCK_ELEMENTS);
    return { ...launch, workgroups: folded(Math.ceil(blocks / blocksEach)) };
  }

  #launch(codec: CodecName, direction: Direction): PreparedDispatch {
    const key = `${codec} ${direction}`;
    let launch = this.#launches.get(key);
    if (!launch) {
      launch = this.#device.launch(this.#dispatch(codec, direction));
      this.#launches.set(key, launch);
    }
    return launch;
  }

  #dispatch(codec: CodecName, direction: Direction): Dispatch {
    const { parameters, gradient, base, sent } = this.#memory.vectors;
    const shader = `codec_${codec.replace("-", "_")}`;
    const payload = this.#payload(codec);
    const of = (entryPoint: string, constants: Dispatch["constants"], buffers: readonly GPUBuffer[]): Dispatch => ({
      name: `${codec}, ${direction}`,
      shader,
      entryPoint,
      constants,
      bindings: [this.#heldRange(), ...buffers].map((buffer) => ({ buffer })),
      workgroups: [1, 1, 1],
    });
    switch (direction) {
      case "difference":
        return of("encode", { GRADIENT: 0 }, [parameters, base, sent, payload]);
      case "gradient":
        return of("encode", { GRADIENT: 1 }, [gradient, base, this.#heldResidual(), payload]);
      case "decode":
        return of("decode", {}, [payload, base]);
      default:
        return direction satisfies never;
    }
  }

  /** Room for what a codec makes of the whole layout, either way. */
  #payload(codec: CodecName): GPUBuffer {
    if (codec === "f32") return this.#memory.vectors.difference;
    let payload = this.#payloads.get(codec);
    if (!payload) {
      const bytes = encodedBytes(codec, this.#memory.plan.layout.elements);
      payload = this.#memory.add(`payload in ${codec}`, bytes / WORD_BYTES);
      this.#payloads.set(codec, payload);
    }
    return payload;
  }

  #heldRange(): GPUBuffer {
    this.#range ??= this.#memory.add("range of an exchange", 4, "uniform");
    return this.#range;
  }

  #heldResidual(): GPUBuffer {
    this.#residual ??= this.#memory.add("residual of gradients", this.#memory.plan.layout.elements);
    return this.#residual;
  }
}
