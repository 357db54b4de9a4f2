/**
 * A replica in plain code that speaks any codec (SPEC C, X2, X4, X11, X17, X18): what it holds, what it pushes, and what an answer
 * makes of it. It moves no bytes itself; the test carries its messages, loses them, and brings them twice.
 */

import type { PushContent } from "../../shared/solver/replica_rule.ts";
import { fragmentOf, wholeOf, type Fragment } from "../../shared/wire/codec/codec.ts";
import { decode, encode } from "../../shared/wire/codec/naive.ts";
import type { FromCoordinator, Header } from "../../shared/wire/messages.ts";
import { slicePlanOf, sliceRange } from "../../shared/wire/slices.ts";
import { PLAIN_CODECS, type Codecs } from "../../shared/wire/vectors.ts";

type Message<K extends FromCoordinator["kind"]> = Extract<FromCoordinator, { kind: K }>;

export interface MadePush {
  readonly header: Header<"push">;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** What the coordinator will make of it: base + decoded, or what a gradient decodes to. All elements. */
  readonly meant: Float32Array<ArrayBuffer>;
}

export class CodecReplica {
  readonly elements: number;
  readonly fragments: number;
  readonly content: PushContent;
  codecs: Codecs = PLAIN_CODECS;
  identity: { replica: string; token: string; incarnation: number } | undefined = undefined;
  assignment: Header<"welcome">["assignment"] | undefined = undefined;
  parameters: Float32Array<ArrayBuffer>;
  base: Float32Array<ArrayBuffer>;
  /** What counts as sent. */
  sent: Float32Array<ArrayBuffer>;
  /** What encoded gradients left out. */
  readonly residual: Float32Array<ArrayBuffer>;
  /** Base versions, by fragment. */
  readonly versions: number[];
  lastExchange = 0;
  #pushes = 0;

  constructor(elements: number, content: PushContent, fragments = 1) {
    this.elements = elements;
    this.content = content;
    this.fragments = fragments;
    this.parameters = new Float32Array(elements);
    this.base = new Float32Array(elements);
    this.sent = new Float32Array(elements);
    this.residual = new Float32Array(elements);
    this.versions = Array.from({ length: fragments }, () => 0);
  }

  /** True where it goes on from where it was. */
  welcomed({ header, payload }: Message<"welcome">, held?: Float32Array): boolean {
    const { replica, token, incarnation } = header;
    const isNew = this.identity === undefined;
    this.identity = { replica, token, incarnation };
    this.codecs = header.codecs ?? PLAIN_CODECS;
    this.assignment = header.assignment;
    this.lastExchange = Math.max(this.lastExchange, header.lastExchange);
    if (header.resumed) return true;
    this.base = held ? new Float32Array(held) : valuesOf(payload);
    this.versions.fill(header.version);
    if (isNew) this.parameters = this.base.slice();
    return false;
  }

  /** The next exchange: the way from the base to the parameters, or `gradient`. */
  push(gradient?: Float32Array, work = { steps: 1, samples: 1 }): MadePush {
    const index = this.#pushes++ % this.fragments;
    const fragment = this.rangeOf(index);
    const { fromElement, toElement } = fragment;
    const meant = new Float32Array(this.elements);
    const left = this.#encodable(fragment, gradient);
    const payload = encode(this.codecs.up, left);
    const decoded = decode(this.codecs.up, payload, left.length);
    for (let k = fromElement; k < toElement; k++) {
      const value = decoded[k - fromElement]!;
      if (gradient) this.residual[k] = left[k - fromElement]! - value;
      else this.sent[k] = this.base[k]! + value;
      meant[k] = gradient || this.content === "update" ? value : this.sent[k]!;
    }
    const header: Header<"push"> = {
      exchange: ++this.lastExchange,
      incarnation: this.identity?.incarnation ?? 1,
      baseVersion: this.versions[index]!,
      content: this.content,
      ...work,
      meanLoss: 1,
      ...(this.fragments > 1 ? { fragment: index } : {}),
    };
    return { header, payload, meant };
  }

  answered({ header, payload }: Message<"answer">): void {
    this.assignment = header.assignment;
    const index = header.fragment ?? 0;
    const fragment = this.rangeOf(index);
    for (const slice of header.lost ?? []) {
      const { fromElement, toElement } = sliceRange(slicePlanOf(this.codecs.up, this.elements), slice);
      this.sent.set(this.base.subarray(fromElement, toElement), fromElement);
    }
    this.#rebase(fragment, payload, header.deltas);
    this.versions[index] = header.version;
    for (let k = fragment.fromElement; k < fragment.toElement; k++) {
      if (this.content === "gradient") this.parameters[k] = this.base[k]!;
      else this.parameters[k]! -= Math.fround(header.pull * Math.fround(this.sent[k]! - this.base[k]!));
    }
  }

  pulled({ header, payload }: Message<"center">): void {
    this.#rebase(wholeOf(this.elements), payload, header.deltas);
    this.versions.fill(header.version);
  }

  refused({ header, payload }: Message<"refusal">): void {
    if (header.recovery === "none") return;
    this.base = valuesOf(payload);
    this.versions.fill(header.version);
    if (header.recovery === "restart") this.parameters = this.base.slice();
  }

  rangeOf(index: number): Fragment {
    return fragmentOf(this.elements, this.fragments, index);
  }

  #encodable({ fromElement, toElement }: Fragment, gradient: Float32Array | undefined): Float32Array<ArrayBuffer> {
    return Float32Array.from({ length: toElement - fromElement }, (_, at) => {
      const k = fromElement + at;
      return gradient ? gradient[k]! + this.residual[k]! : this.parameters[k]! - this.base[k]!;
    });
  }

  #rebase({ fromElement, toElement }: Fragment, payload: Uint8Array, deltas = 0): void {
    const count = toElement - fromElement;
    if (deltas === 0) return this.base.set(valuesOf(payload), fromElement);
    const bytes = payload.byteLength / deltas;
    for (let delta = 0; delta < deltas; delta++) {
      const change = decode(this.codecs.down, payload.slice(delta * bytes, (delta + 1) * bytes), count);
      change.forEach((value, at) => (this.base[fromElement + at]! += value));
    }
  }
}

function valuesOf(payload: Uint8Array): Float32Array<ArrayBuffer> {
  return new Float32Array(payload.slice().buffer);
}
