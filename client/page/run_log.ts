/** The event log of one run as the coordinator has it: fetched as it comes, and again from where it ended, because a run may go on. */

import { RunReplay, type ReplayOptions } from "../../shared/run_replay.ts";
import type { OperatorApi } from "./operator_api.ts";

export class RunLog {
  readonly name: string;
  readonly #api: OperatorApi;
  readonly #options: ReplayOptions;
  #replay: RunReplay;
  #decoder = new TextDecoder();
  #rest = "";
  #bytes = 0;

  constructor(api: OperatorApi, name: string, options: ReplayOptions = {}) {
    this.#api = api;
    this.name = name;
    this.#options = options;
    this.#replay = new RunReplay(options);
  }

  /** What was read of it so far. */
  get replay(): RunReplay {
    return this.#replay;
  }

  /**
   * Reads what is there and was not read yet; `progress` is told the share, 0 to 1. A sentence where that fails, undefined where all is
   * well. Throws only where `signal` says to stop.
   */
  async read(progress: (share: number) => void, signal: AbortSignal): Promise<string | undefined> {
    try {
      const path = `api/operator/runs/${encodeURIComponent(this.name)}/events`;
      if (this.#bytes > 0 && !(await this.#hasGrown(path, signal))) return undefined;
      const headers = this.#bytes === 0 ? {} : { Range: `bytes=${this.#bytes}-` };
      const response = await this.#api.ask(path, { headers, signal });
      if (response.status === 404) return `The run ${this.name} has no event log.`;
      if (!response.ok || response.body === null)
        return `The coordinator did not give the event log of ${this.name} (HTTP ${response.status}).`;
      // Not a part of it but all.
      if (response.status === 200) this.#restart();
      await this.#take(response.body, Number(response.headers.get("content-length") ?? 0), progress);
      return undefined;
    } catch {
      signal.throwIfAborted();
      return `The event log of ${this.name} did not come through; try again when the coordinator answers.`;
    }
  }

  /** Asked first, because browsers complain of a range that is empty. */
  async #hasGrown(path: string, signal: AbortSignal): Promise<boolean> {
    const { headers } = await this.#api.ask(path, { method: "HEAD", signal });
    return Number(headers.get("content-length") ?? 0) !== this.#bytes;
  }

  #restart(): void {
    this.#replay = new RunReplay(this.#options);
    this.#decoder = new TextDecoder();
    this.#rest = "";
    this.#bytes = 0;
  }

  async #take(body: ReadableStream<Uint8Array>, length: number, progress: (share: number) => void): Promise<void> {
    const reader = body.getReader();
    let taken = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      taken += value.byteLength;
      this.#bytes += value.byteLength;
      const lines = (this.#rest + this.#decoder.decode(value, { stream: true })).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#replay.add(line);
      if (length > 0) progress(Math.min(1, taken / length));
    }
  }
}
