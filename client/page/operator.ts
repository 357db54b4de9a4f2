/** The operator's page: the run as the coordinator publishes it, live, and plainly out of date when it does not. */

import type { RunView } from "../../shared/run_view.ts";
import { AutotuneCard } from "./autotune_card.ts";
import { byId, Fields, setText } from "./dom.ts";
import { bytes, decimal, duration, figure, loss, percent, short, whole } from "./format.ts";
import { latest } from "./latest.ts";
import { Notices } from "./notices.ts";
import { Rate } from "./rate.ts";
import { ReplicaTable } from "./replica_table.ts";
import { AccuracyChart, RunLossChart } from "./run_charts.ts";
import { RunFeed } from "./run_feed.ts";
import { RunSeries } from "./run_series.ts";
import { STATES } from "./run_states.ts";
import { startShareLink } from "./share_link.ts";
import { StalenessBars } from "./staleness_bars.ts";
import { startTheme } from "./theme.ts";

startTheme();
startShareLink();

const fields = new Fields([
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
  "groups",
  "direct",
  "held",
]);
const state = byId("state", HTMLElement);
const directRow = byId("direct-row", HTMLElement);
const notices = new Notices();
const accuracyChart = new AccuracyChart(byId("accuracy-chart", HTMLElement), 260);
const lossChart = new RunLossChart(byId("loss-chart", HTMLElement), 260);
const series = new RunSeries();
const runBars = new StalenessBars();
const replicas = new ReplicaTable();
const autotune = new AutotuneCard();
const upRate = new Rate();
const downRate = new Rate();
byId("run-bars", HTMLElement).append(runBars.element);

function show(view: RunView): void {
  showHead(view);
  showCenter(view);
  showStaleness(view);
  showTraffic(view);
  showSolver(view);
  autotune.show(view.autotune);
  const curves = series.curves(view);
  accuracyChart.show(curves, view);
  lossChart.show(curves);
  replicas.show(view.replicas);
}

function showHead(view: RunView): void {
  const here = view.replicas.filter((replica) => replica.connected).length;
  const gone = view.replicas.length - here;
  setText(state, STATES[view.state]);
  state.dataset["state"] = view.state;
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

function showCenter(view: RunView): void {
  const share = (count: number): string => (view.exchanges === 0 ? "" : ` (${percent(count / view.exchanges)})`);
  fields.write("version", whole(view.version));
  fields.write("exchanges", whole(view.exchanges));
  fields.write("applied", whole(view.applied));
  fields.write(
    "overlapped",
    `${whole(view.overlappedApplies)}${view.applied === 0 ? "" : ` (${percent(view.overlappedApplies / view.applied)})`}`,
  );
  fields.write("refused", `${whole(view.refused)}${share(view.refused)}`);
  fields.write("repeated", whole(view.repeated));
  fields.write("incarnation", whole(view.incarnation));
  const codes = Object.entries(view.refusals).filter(([, count]) => count > 0);
  fields.write("refusals", codes.map(([code, count]) => `${code} ${whole(count)}`).join(" · "));
}

function showStaleness(view: RunView): void {
  const { staleness } = view;
  runBars.show(staleness);
  fields.write("stalest", whole(StalenessBars.lastBarOf(staleness)));
  fields.write("staleness-mean", `${decimal(staleness.mean, 2)} versions`);
  fields.write(
    "staleness-spread",
    `${decimal(staleness.p50, 0)} · ${decimal(staleness.p99, 0)} · ${decimal(staleness.max, 0)}`,
  );
}

function showTraffic(view: RunView): void {
  const seconds = performance.now() / 1000;
  const up = upRate.add(seconds, view.bytesUp);
  const down = downRate.add(seconds, view.bytesDown);
  fields.write("up", bytes(view.bytesUp));
  fields.write("up-rate", up === undefined ? "–" : `${bytes(up)}/s`);
  fields.write("down", bytes(view.bytesDown));
  fields.write("down-rate", down === undefined ? "–" : `${bytes(down)}/s`);
  const each = view.exchanges === 0 ? undefined : (view.bytesUp + view.bytesDown) / view.exchanges;
  fields.write("per-exchange", each === undefined ? "–" : bytes(each));
}

/** Of groups that may average among themselves; the others fell back to the coordinator. */
function showDirectRounds(rounds: RunView["directRounds"]): void {
  directRow.hidden = rounds === null;
  if (rounds) fields.write("direct", `${whole(rounds.averaged)} of ${whole(rounds.averaged + rounds.fallen)}`);
}

function showSolver({ hyperparameters, groups, directRounds, replicas: all }: RunView): void {
  const { learningRate, momentum, communicationPeriod } = hyperparameters;
  fields.write("learning-rate", figure(learningRate));
  fields.write("momentum", figure(momentum));
  fields.write("period", whole(communicationPeriod));
  const asked = hyperparameters.groups;
  const members = groups !== null && groups !== asked ? `, ${whole(groups)} with members` : "";
  fields.write("groups", asked === null ? "every replica its own" : `${whole(asked)}${members}`);
  showDirectRounds(directRounds);
  const heldSeconds = all.reduce((sum, replica) => sum + replica.heldSeconds, 0);
  fields.write("held", all.length < 2 ? duration(heldSeconds) : `${duration(heldSeconds)} in all`);
}

const showLatest = latest(show);
let over = false;

new RunFeed({
  view: (view) => {
    notices.clear("view");
    notices.clear("over");
    over = view.state === "reached" || view.state === "stopped";
    showLatest(view);
  },
  live: () => {
    notices.clear("coordinator");
    document.body.classList.remove("stale");
  },
  gone: () => {
    if (over) {
      notices.show("over", "good", "The run is over and its coordinator has ended. What you see is the result.");
      return;
    }
    document.body.classList.add("stale");
    setText(state, "coordinator gone");
    state.dataset["state"] = "gone";
    notices.show(
      "coordinator",
      "trouble",
      "The coordinator does not answer; what you see is its last word. This page keeps trying. If the process has ended, start it again with the same run: it goes on from its newest checkpoint, and volunteers come back by themselves.",
    );
  },
  unreadable: () => {
    notices.show(
      "view",
      "advice",
      "The coordinator reports the run in a form that this page does not know. Reload the page to get the current one.",
    );
  },
}).start();
