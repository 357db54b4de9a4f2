/** What single runs found, kept one JSON object a line as they come, so that an interrupted measurement goes on where it was. */

import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { MODELS } from "../../../shared/model/catalogue.ts";
import { layoutOf } from "../../../shared/model/layout.ts";
import type { Simulator } from "../../../coordinator/simulate/simulator.ts";
import { scenarioOf, WORKLOADS, type RunKey } from "./workloads.ts";

export interface Row extends RunKey {
  /** Of all test images, 0 to 1. */
  readonly accuracy: number;
  readonly loss: number;
  readonly exchanges: number;
  /** Bytes that f32 would take for the same messages, over those that were sent. */
  readonly timesFewerUp: number;
  readonly timesFewerDown: number;
  /** Changes in an answer; 1 of f32. */
  readonly deltasPerAnswer: number;
  readonly stalenessMean: number;
  readonly wallSeconds: number;
}

export class Rows {
  readonly #file: string | undefined;
  readonly #known = new Map<string, Row>();

  /** Without a file they are only remembered. */
  constructor(file: string | undefined) {
    this.#file = file;
    if (file === undefined || !existsSync(file)) return;
    for (const line of readFileSync(file, "utf8").split("\n")) {
      // Written by this class; the last line may have been cut short.
      if (line.endsWith("}")) this.#remember(JSON.parse(line) as Row);
    }
  }

  /** The run of `key`, from the file or now. */
  async row(key: RunKey, simulator: Simulator): Promise<Row> {
    const known = this.#known.get(textOf(key));
    if (known) return known;
    const row = await simulated(key, simulator);
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(row)}\n`);
    this.#remember(row);
    return row;
  }

  #remember(row: Row): void {
    this.#known.set(textOf(row), row);
  }
}

async function simulated(key: RunKey, simulator: Simulator): Promise<Row> {
  const report = await simulator.simulate(scenarioOf(key));
  const { accuracy, loss, exchanges, bytesUp, bytesDown, vectorsUp, vectorsDown, stream, staleness } = report;
  const { elements } = layoutOf(MODELS[WORKLOADS[key.workload].model]);
  const plainBytes = (4 * elements) / key.fragments;
  return {
    ...key,
    accuracy: accuracy ?? Number.NaN,
    loss: loss ?? Number.NaN,
    exchanges,
    timesFewerUp: (plainBytes * vectorsUp) / bytesUp,
    timesFewerDown: (plainBytes * vectorsDown) / bytesDown,
    deltasPerAnswer: stream ? stream.deltas / stream.answers : 1,
    stalenessMean: staleness.mean,
    wallSeconds: report.wallSeconds,
  };
}

function textOf({ workload, solver, learningRate, epochs, seed, up, down, fragments }: RunKey): string {
  return JSON.stringify([workload, solver, learningRate, epochs, seed, up, down, fragments]);
}
