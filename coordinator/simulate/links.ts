/**
 * How long messages are on their way: a latency and a bandwidth for each replica and direction (the a + b n of SC17). Where the
 * topology is serial, the coordinator's link carries one message at a time, both ways.
 */

import { ofReplica, type CompleteScenario } from "./scenario.ts";
import { Servers } from "./servers.ts";

type LinkFields = Pick<CompleteScenario, "latencySeconds" | "upBytesPerSecond" | "downBytesPerSecond" | "topology">;

export class Links {
  /** Of a message that carries a vector. */
  readonly payloadBytes: number;
  bytesUp = 0;
  bytesDown = 0;
  readonly #fields: LinkFields;
  readonly #shared: Servers | undefined;

  constructor(fields: LinkFields, payloadBytes: number) {
    this.#fields = fields;
    this.payloadBytes = payloadBytes;
    this.#shared = fields.topology === "serial" ? new Servers(1) : undefined;
  }

  /** When a push that is sent now arrives; `treeSeconds`: how long it takes along a tree. */
  arrivalUp(replica: number, nowSeconds: number, treeSeconds?: number): number {
    this.bytesUp += this.payloadBytes;
    return this.#arrival(treeSeconds ?? this.secondsUp(replica), nowSeconds);
  }

  /** When a center that leaves now arrives. */
  arrivalDown(replica: number, nowSeconds: number, treeSeconds?: number): number {
    this.bytesDown += this.payloadBytes;
    return this.#arrival(treeSeconds ?? this.secondsDown(replica), nowSeconds);
  }

  /** Of a message without a vector. */
  arrivalEmpty(replica: number, nowSeconds: number): number {
    return this.#arrival(ofReplica(this.#fields.latencySeconds, replica), nowSeconds);
  }

  /** Of a push on its own. */
  secondsUp(replica: number): number {
    return this.#seconds(replica, ofReplica(this.#fields.upBytesPerSecond, replica));
  }

  secondsDown(replica: number): number {
    return this.#seconds(replica, ofReplica(this.#fields.downBytesPerSecond, replica));
  }

  #seconds(replica: number, bytesPerSecond: number | null): number {
    const latency = ofReplica(this.#fields.latencySeconds, replica);
    return bytesPerSecond === null ? latency : latency + this.payloadBytes / bytesPerSecond;
  }

  #arrival(seconds: number, nowSeconds: number): number {
    const start = this.#shared?.begin(nowSeconds, seconds) ?? nowSeconds;
    return start + seconds;
  }
}
