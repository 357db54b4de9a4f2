/** The panels of the operator's page that only say numbers: head, epoch, center, staleness, traffic, solver. */

import type { RunView } from "../../shared/run_view.ts";
import { byId, Fields, setText } from "./dom.ts";
import { bytes, decimal, duration, figure, loss, percent, short, whole } from "./format.ts";
import { Rate } from "./rate.ts";
import { STATES } from "./run_states.ts";
import { policyWords } from "./setting_fields.ts";
import { StalenessBars } from "./staleness_bars.ts";

const FIELDS = [
  "what",
  "run",
  "accuracy",
  "target",
  "speed",
  "samples",
  "connected",
  "left",
  "elapsed",
  "remaining",
  "epoch",
  "epoch-done",
  "stalest",
  "staleness-mean",
  "staleness-spread",
  "version",
  "exchanges",
  "applied",
  "overlapped",
  "refused",
  "repeated",
  "incarnation",
  "refusals",
  "up",
  "up-rate",
  "down",
  "down-rate",
  "per-exchange",
  "learning-rate",
  "momentum",
  "period",
  "policy",
  "groups",
  "direct",
  "held",
] as const;

export class OperatorPanels {
  readonly #fields = new Fields(FIELDS);
  readonly #state = byId("state", HTMLElement);
  readonly #directRow = byId("direct-row", HTMLElement);
  readonly #epochUsed = byId("epoch-used", HTMLElement);
  readonly #epochLeased = byId("epoch-leased", HTMLElement);
  readonly #bars = new StalenessBars();
  #upRate = new Rate();
  #downRate = new Rate();

  constructor() {
    byId("run-bars", HTMLElement).append(this.#bars.element);
  }

  /** Another run, or another time of it: rates begin anew. */
  forget(): void {
    this.#upRate = new Rate();
    this.#downRate = new Rate();
  }

  /** `clockSeconds`: live the page's clock, in a replay the run's; rates are measured by it. */
  show(view: RunView, clockSeconds: number): void {
    this.#showHead(view);
    this.#showEpoch(view.epoch);
    this.#showCenter(view);
    this.#showStaleness(view);
    this.#showTraffic(view, clockSeconds);
    this.#showSolver(view);
  }

  gone(): void {
    setText(this.#state, "coordinator gone");
    this.#state.dataset["state"] = "gone";
  }

  #showHead(view: RunView): void {
    const fields = this.#fields;
    const here = view.replicas.filter((replica) => replica.connected).length;
    const gone = view.replicas.length - here;
    const isPaused = view.isPaused && view.state !== "reached" && view.state !== "stopped";
    setText(this.#state, isPaused ? "paused" : STATES[view.state]);
    this.#state.dataset["state"] = isPaused ? "paused" : view.state;
    fields.write("what", `${view.model} on ${view.data} with ${view.solver}`);
    fields.write("run", view.run);
    fields.write("accuracy", percent(view.accuracy, 2));
    fields.write("target", view.targetAccuracy === null ? "no target" : `target ${percent(view.targetAccuracy)}`);
    fields.write("speed", whole(view.samplesPerSecond));
    fields.write("samples", `${short(view.samples)} so far`);
    fields.write("connected", whole(here));
    fields.write("left", gone === 0 ? "connected" : `connected; ${whole(gone)} left earlier`);
    fields.write("elapsed", duration(view.seconds));
    fields.write("remaining", `loss ${loss(view.trainLoss)}, held-out ${loss(view.testLoss)}`);
    const title = `${view.accuracy === null ? "" : `${percent(view.accuracy)} · `}${view.run} · Drove`;
    if (document.title !== title) document.title = title;
  }

  #showEpoch({ epoch, examples, leased, used }: RunView["epoch"]): void {
    const share = (count: number): number => (examples === 0 ? 0 : Math.min(1, count / examples));
    this.#fields.write("epoch", whole(epoch));
    this.#fields.write(
      "epoch-done",
      `${percent(share(used), 0)} of ${short(examples)}, ${percent(share(leased), 0)} given out`,
    );
    this.#epochUsed.style.width = `${share(used) * 100}%`;
    this.#epochLeased.style.width = `${Math.min(1 - share(used), share(leased)) * 100}%`;
  }

  #showCenter(view: RunView): void {
    const fields = this.#fields;
    fields.write("version", whole(view.version));
    fields.write("exchanges", whole(view.exchanges));
    fields.write("applied", whole(view.applied));
    fields.write("overlapped", `${whole(view.overlappedApplies)}${shareWords(view.overlappedApplies, view.applied)}`);
    fields.write("refused", `${whole(view.refused)}${shareWords(view.refused, view.exchanges)}`);
    fields.write("repeated", whole(view.repeated));
    fields.write("incarnation", whole(view.incarnation));
    const codes = Object.entries(view.refusals).filter(([, count]) => count > 0);
    fields.write("refusals", codes.map(([code, count]) => `${code} ${whole(count)}`).join(" · "));
  }

  #showStaleness({ staleness }: RunView): void {
    this.#bars.show(staleness);
    this.#fields.write("stalest", whole(StalenessBars.lastBarOf(staleness)));
    this.#fields.write("staleness-mean", `${decimal(staleness.mean, 2)} versions`);
    this.#fields.write(
      "staleness-spread",
      `${decimal(staleness.p50, 0)} · ${decimal(staleness.p99, 0)} · ${decimal(staleness.max, 0)}`,
    );
  }

  #showTraffic(view: RunView, clockSeconds: number): void {
    const fields = this.#fields;
    const up = this.#upRate.add(clockSeconds, view.bytesUp);
    const down = this.#downRate.add(clockSeconds, view.bytesDown);
    fields.write("up", bytes(view.bytesUp));
    fields.write("up-rate", up === undefined ? "–" : `${bytes(up)}/s`);
    fields.write("down", bytes(view.bytesDown));
    fields.write("down-rate", down === undefined ? "–" : `${bytes(down)}/s`);
    const each = view.exchanges === 0 ? undefined : (view.bytesUp + view.bytesDown) / view.exchanges;
    fields.write("per-exchange", each === undefined ? "–" : bytes(each));
  }

  #showSolver({ hyperparameters, groups, directRounds, replicas }: RunView): void {
    const fields = this.#fields;
    const { learningRate, momentum, communicationPeriod, staleness } = hyperparameters;
    fields.write("learning-rate", figure(learningRate));
    fields.write("momentum", figure(momentum));
    fields.write("period", whole(communicationPeriod));
    fields.write("policy", policyWords(staleness));
    const asked = hyperparameters.groups;
    const members = groups !== null && groups !== asked ? `, ${whole(groups)} with members` : "";
    fields.write("groups", asked === null ? "every replica its own" : `${whole(asked)}${members}`);
    // Of groups that may average among themselves; the others fell back to the coordinator.
    this.#directRow.hidden = directRounds === null;
    if (directRounds !== null)
      fields.write(
        "direct",
        `${whole(directRounds.averaged)} of ${whole(directRounds.averaged + directRounds.fallen)}`,
      );
    const heldSeconds = replicas.reduce((sum, replica) => sum + replica.heldSeconds, 0);
    fields.write("held", replicas.length < 2 ? duration(heldSeconds) : `${duration(heldSeconds)} in all`);
  }
}

function shareWords(count: number, of: number): string {
  return of === 0 ? "" : ` (${percent(count / of)})`;
}
