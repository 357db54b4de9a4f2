/**
 * Does what an operator orders: checks that it goes, has the run do it, and sees that it outlives this coordinator. The only place
 * that knows what each order is called and what is answered to it.
 */

import type { OperatorChanges, OperatorRequest } from "../../shared/operator.ts";
import type { Run } from "../run.ts";
import type { RunConfig } from "../run_config.ts";
import type { Obeyed } from "../server/operator_routes.ts";
import { retuneProblem } from "./retune_check.ts";

export interface ControlOptions {
  readonly run: Run;
  readonly config: RunConfig;
  /** Resolves when the run's record, as it is now, is on disk; never rejects. */
  readonly keep: () => Promise<void>;
  /** The run ends, as by Ctrl+C. */
  readonly finish: () => void;
}

export class Control {
  readonly #options: ControlOptions;

  constructor(options: ControlOptions) {
    this.#options = options;
  }

  async obey(request: OperatorRequest): Promise<Obeyed> {
    const { run, finish } = this.#options;
    const { orders } = run;
    if (run.isOver) return refused(409, "This run is over.");
    switch (request.kind) {
      case "pause":
        return done(orders.pause() ? "Everybody waits." : "Everybody waits already.");
      case "resume":
        return done(orders.resume() ? "The run goes on." : "The run goes on already.");
      case "kick":
        return this.#kick(request.replica);
      case "drain":
        return this.#drain(request.replica);
      case "retune":
        return this.#retune(request.changes);
      case "finish":
        finish();
        return done("The run ends.");
      default:
        return request satisfies never;
    }
  }

  async #kick(replica: string): Promise<Obeyed> {
    const { run, keep } = this.#options;
    if (!run.orders.kick(replica)) return unknown(replica);
    await keep();
    return done(`${replica} is removed, and is refused when it names itself again.`);
  }

  #drain(replica: string | null): Obeyed {
    if (!this.#options.run.orders.drain(replica)) return unknown(replica ?? "");
    if (replica !== null) return done(`${replica} completes its exchange and leaves.`);
    return done("Everybody completes the exchange and leaves; nobody joins until the run is resumed.");
  }

  async #retune(changes: OperatorChanges): Promise<Obeyed> {
    const { run, config, keep } = this.#options;
    const problem = retuneProblem(changes, { config, solver: run.solver, replicas: run.replicas });
    if (problem !== undefined) return refused(409, problem);
    const changed = run.retune(changes, "operator");
    if (changed.length === 0) return done("Everything is as it was.");
    await keep();
    return done(`${changed.map(({ setting, from, to }) => `${setting} ${from} → ${to}`).join(", ")}.`);
  }
}

function done(sentence: string): Obeyed {
  return { status: 200, answer: { done: sentence } };
}

function refused(status: 404 | 409, problem: string): Obeyed {
  return { status, answer: { problem } };
}

function unknown(replica: string): Obeyed {
  return refused(404, `No replica ${replica} is here.`);
}
