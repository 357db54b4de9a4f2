/**
 * A program's half of an exchange in any codec and any fragment (SPEC C, X17): what encodes parameters and gradients, and what
 * decodes the center's changes onto the base. Used by `wasm_program.ts` alone.
 *
 * Payloads pass through the program's memory in pieces, which stay in the cache between the copy and the kernel: so memory
 * holds no second payload, and a payload's alignment means nothing.
 */

import type { CenterNews, TakeRequest } from "../backend.ts";
import { CODEC_NAMES, encodedBytes, type CodecName, type Fragment } from "../../wire/codec/codec.ts";
import { isFiniteEncoding } from "../../wire/codec/payload_check.ts";
import type { Instance } from "./kernels.ts";
import type { MemoryMap } from "./memory_map.ts";

const WORD_BYTES = 4;

/** Elements of the layout, a whole number of blocks or up to its end, and where what is encoded of them begins. */
interface Piece {
  readonly first: number;
  readonly count: number;
  readonly payloadByte: number;
  readonly payloadBytes: number;
}

export class EncodedExchange {
  readonly #map: MemoryMap;
  readonly #instance: Instance;
  /** Whole memory, in bytes. */
  readonly #bytes: Uint8Array;
  readonly #floats: Float32Array;
  /** What is taken, for whoever asks. */
  readonly #taken: Uint8Array<ArrayBuffer>;
  /** What encoded gradients have left out; made when the first one is taken. */
  #residual: Float32Array<ArrayBuffer> | undefined;

  /** `taken` has the layout's elements and is written over by `take`. */
  constructor(map: MemoryMap, instance: Instance, taken: Float32Array<ArrayBuffer>) {
    this.#map = map;
    this.#instance = instance;
    this.#bytes = new Uint8Array(instance.memory);
    this.#floats = new Float32Array(instance.memory);
    this.#taken = new Uint8Array(taken.buffer);
  }

  get residual(): Float32Array<ArrayBuffer> | undefined {
    return this.#residual;
  }

  /** None: nothing was left out. */
  setResidual(residual: Float32Array | undefined): void {
    if (!residual) this.#residual?.fill(0);
    else this.#heldResidual().set(residual);
  }

  take({ what, codec, fragment }: TakeRequest): { payload: Uint8Array<ArrayBuffer>; isFinite: boolean } {
    const { fromElement, toElement } = fragment;
    const payload = this.#taken.subarray(0, encodedBytes(codec, toElement - fromElement));
    if (what === "gradient") this.#takeGradient(codec, fragment, payload);
    else this.#takeDifference(codec, fragment, payload);
    const words = new Uint32Array(payload.buffer, 0, payload.length / WORD_BYTES);
    const isFinite = isFiniteEncoding(codec, words);
    if (!isFinite) this.#residual?.fill(0, fromElement, toElement);
    return { payload, isFinite };
  }

  unsend(fragment: Fragment): void {
    const { base, sent } = this.#map;
    const from = this.#at(base, fragment.fromElement);
    this.#bytes.copyWithin(this.#at(sent, fragment.fromElement), from, this.#at(base, fragment.toElement));
  }

  /** base <- news. */
  receive(news: CenterNews): void {
    const { base, codecStaging } = this.#map;
    const { fragment } = news;
    if (news.kind === "values") {
      this.#floats.set(news.values, this.#at(base, fragment.fromElement) / WORD_BYTES);
      return;
    }
    const { payload, scratch } = codecStaging;
    const codec = CODEC_NAMES.indexOf(news.codec);
    for (const { first, count, payloadByte, payloadBytes } of this.#piecesOf(news.codec, fragment)) {
      for (const delta of news.deltas) {
        this.#bytes.set(delta.subarray(payloadByte, payloadByte + payloadBytes), payload);
        this.#instance.kernels.addDecoded(codec, payload, this.#at(base, first), count, scratch);
      }
    }
  }

  /** parameters <- parameters - pull * (sent - base). */
  settle({ fromElement, toElement }: Fragment, pull: number): void {
    const { parameters, sent, base } = this.#map;
    const at = (vector: number): number => this.#at(vector, fromElement);
    this.#instance.kernels.settle(at(parameters), at(sent), at(base), toElement - fromElement, pull);
  }

  #takeDifference(codec: CodecName, fragment: Fragment, payload: Uint8Array): void {
    const { parameters, base, sent, difference, codecStaging } = this.#map;
    const { kernels } = this.#instance;
    const { fromElement, toElement } = fragment;
    if (codec === "f32") {
      // What is sent is exact, but base and difference added need not be.
      const at = (vector: number): number => this.#at(vector, fromElement);
      kernels.takeDifference(at(parameters), at(base), at(sent), at(difference), toElement - fromElement);
      payload.set(this.#bytes.subarray(at(difference), this.#at(difference, toElement)));
      return;
    }
    for (const { first, count, payloadByte, payloadBytes } of this.#piecesOf(codec, fragment)) {
      const at = (vector: number): number => this.#at(vector, first);
      const { payload: words, scratch } = codecStaging;
      kernels.encodeDifference(CODEC_NAMES.indexOf(codec), at(parameters), at(base), at(sent), words, count, scratch);
      payload.set(this.#bytes.subarray(words, words + payloadBytes), payloadByte);
    }
  }

  #takeGradient(codec: CodecName, fragment: Fragment, payload: Uint8Array): void {
    const { gradient, codecStaging } = this.#map;
    const { kernels } = this.#instance;
    if (codec === "f32" && !this.#residual) {
      const { fromElement, toElement } = fragment;
      payload.set(this.#bytes.subarray(this.#at(gradient, fromElement), this.#at(gradient, toElement)));
      return;
    }
    const held = this.#heldResidual();
    const { payload: words, residual, scratch } = codecStaging;
    for (const { first, count, payloadByte, payloadBytes } of this.#piecesOf(codec, fragment)) {
      const staged = residual / WORD_BYTES;
      this.#floats.set(held.subarray(first, first + count), staged);
      const number = CODEC_NAMES.indexOf(codec);
      kernels.encodeGradient(number, this.#at(gradient, first), residual, words, count, scratch);
      held.set(this.#floats.subarray(staged, staged + count), first);
      payload.set(this.#bytes.subarray(words, words + payloadBytes), payloadByte);
    }
  }

  #heldResidual(): Float32Array<ArrayBuffer> {
    this.#residual ??= new Float32Array(this.#map.plan.layout.elements);
    return this.#residual;
  }

  *#piecesOf(codec: CodecName, { fromElement, toElement }: Fragment): Iterable<Piece> {
    const { pieceElements } = this.#map.codecStaging;
    let payloadByte = 0;
    for (let first = fromElement; first < toElement; first += pieceElements) {
      const count = Math.min(pieceElements, toElement - first);
      const payloadBytes = encodedBytes(codec, count);
      yield { first, count, payloadByte, payloadBytes };
      payloadByte += payloadBytes;
    }
  }

  #at(vector: number, element: number): number {
    return vector + element * WORD_BYTES;
  }
}
