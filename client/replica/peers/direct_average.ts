/**
 * One direct average as a member goes through it (SPEC G8): it says that its vector is there, waits until all say so of theirs,
 * reduces, and has the mean; or it gives up, once, and tells the others. Nothing is decided here: what counts is what every
 * member then tells the coordinator. Pure.
 */

import { AllReduce } from "./all_reduce.ts";
import type { PeerHeader, PeerMessage } from "./peer_messages.ts";
import { cheapestAlgorithm } from "./schedule.ts";

export interface DirectAverageOptions {
  readonly epoch: number;
  /** That all members must have. */
  readonly baseVersion: number;
  readonly rank: number;
  readonly members: number;
  /** Above 0. */
  readonly weight: number;
  /** Is changed. */
  readonly vector: Float32Array<ArrayBuffer>;
  readonly send: {
    ready(toRank: number, header: PeerHeader<"ready">): void;
    part(toRank: number, header: PeerHeader<"part">, payload: Uint8Array<ArrayBuffer>): void;
    quit(toRank: number, header: PeerHeader<"quit">): void;
  };
  /** Once: the weighted mean of all vectors, the same bits for every member, or why there is none. */
  readonly ended: (outcome: AverageOutcome) => void;
}

export type AverageOutcome = { readonly mean: Float32Array<ArrayBuffer> } | { readonly failure: string };

export class DirectAverage {
  readonly #options: DirectAverageOptions;
  readonly #own: PeerHeader<"ready">;
  readonly #weights: (number | undefined)[];
  readonly #reduction: AllReduce;
  #hasEnded = false;

  /** Tells the others that this member is ready. */
  constructor(options: DirectAverageOptions) {
    const { epoch, baseVersion, rank, members, weight, vector } = options;
    this.#options = options;
    const algorithm = cheapestAlgorithm(members, vector.length);
    this.#own = { epoch, baseVersion, weight, elements: vector.length, algorithm };
    this.#weights = Array.from({ length: members }, (_, at) => (at === rank ? weight : undefined));
    this.#reduction = new AllReduce({
      algorithm,
      rank,
      members,
      vector,
      send: (toRank, step, payload) => options.send.part(toRank, { epoch, baseVersion, step }, payload),
    });
    for (const other of this.#others()) options.send.ready(other, this.#own);
  }

  /** Of this epoch and base. */
  receive(fromRank: number, message: PeerMessage): void {
    if (this.#hasEnded) return;
    switch (message.kind) {
      case "ready":
        return this.#ready(fromRank, message.header);
      case "part":
        return this.#part(fromRank, message.header.step, message.payload);
      case "quit":
        return this.#end({ failure: "another member gave it up" });
      default:
        return message satisfies never;
    }
  }

  /** Tells the others. */
  giveUp(failure: string): void {
    if (this.#hasEnded) return;
    const { epoch, baseVersion, send } = this.#options;
    for (const other of this.#others()) send.quit(other, { epoch, baseVersion });
    this.#end({ failure });
  }

  #ready(fromRank: number, { weight, elements, algorithm }: PeerHeader<"ready">): void {
    if (this.#weights[fromRank] !== undefined) return this.giveUp("a member was ready twice");
    if (elements !== this.#own.elements || algorithm !== this.#own.algorithm) {
      return this.giveUp("a member averages something else");
    }
    this.#weights[fromRank] = weight;
    const weights = this.#weights.filter((one) => one !== undefined);
    if (weights.length < this.#weights.length) return;
    this.#reduction.begin(this.#own.weight / weights.reduce((sum, one) => sum + one, 0));
    this.#endIfDone();
  }

  /** A part may come before the last `ready`: its sender has heard that one already. */
  #part(fromRank: number, step: number, payload: Uint8Array): void {
    if (!this.#reduction.receive(fromRank, step, payload)) return this.giveUp("a member sent what was not due");
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#reduction.isDone) this.#end({ mean: this.#reduction.vector });
  }

  #others(): number[] {
    const { rank, members } = this.#options;
    return Array.from({ length: members }, (_, at) => at).filter((at) => at !== rank);
  }

  #end(outcome: AverageOutcome): void {
    this.#hasEnded = true;
    this.#options.ended(outcome);
  }
}
