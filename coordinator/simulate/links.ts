/**
 * How long messages are on their way: a latency and a bandwidth for each replica and direction (the a + b n of SC17). Where the
 * topology is serial, the coordinator's link carries one message at a time, both ways.
 */

import { ofReplica, type CompleteScenario } from "./scenario.ts";
import { Servers } from "./servers.ts";

type LinkFields = Pick<CompleteScenario, "latencySeconds" | "upBytesPerSecond" | "downBytesPerSecond" | "topology">;

export class Links {
  bytesUp = 0;
  bytesDown = 0;
  /** Messages that carried a vector. */
  vectorsUp = 0;
  vectorsDown = 0;
  readonly #fields: LinkFields;
  readonly #shared: Servers | undefined;

  constructor(fields: LinkFields) {
    this.#fields = fields;
    this.#shared = fields.topology === "serial" ? new Servers(1) : undefined;
  }

  /** When a push that is sent now arrives; `treeSeconds`: how long it takes along a tree. */
  arrivalUp(replica: number, nowSeconds: number, bytes: number, treeSeconds?: number): number {
    this.bytesUp += bytes;
    this.vectorsUp++;
    return this.#arrival(treeSeconds ?? this.secondsUp(replica, bytes), nowSeconds);
  }

  /** When a center that leaves now arrives. */
  arrivalDown(replica: number, nowSeconds: number, bytes: number, treeSeconds?: number): number {
    this.bytesDown += bytes;
    this.vectorsDown++;
    return this.#arrival(treeSeconds ?? this.secondsDown(replica, bytes), nowSeconds);
  }

  /** Of a message without a vector. */
  arrivalEmpty(replica: number, nowSeconds: number): number {
    return this.#arrival(ofReplica(this.#fields.latencySeconds, replica), nowSeconds);
  }

  /** Of a push on its own. */
  secondsUp(replica: number, bytes: number): number {
    return this.#seconds(replica, bytes, ofReplica(this.#fields.upBytesPerSecond, replica));
  }

  secondsDown(replica: number, bytes: number): number {
    return this.#seconds(replica, bytes, ofReplica(this.#fields.downBytesPerSecond, replica));
  }

  #seconds(replica: number, bytes: number, bytesPerSecond: number | null): number {
    const latency = ofReplica(this.#fields.latencySeconds, replica);
    return bytesPerSecond === null ? latency : latency + bytes / bytesPerSecond;
  }

  #arrival(seconds: number, nowSeconds: number): number {
    const start = this.#shared?.begin(nowSeconds, seconds) ?? nowSeconds;
    return start + seconds;
  }
}
