/**
 * The operator's page: the run as the coordinator tells whoever has its token, live, and plainly out of date when it does not; what may be
 * ordered and changed; other runs beside it; and any run again from its event log, in the same panels.
 */

import type { RunReplay } from "../../shared/run_replay.ts";
import type { OperatorAnswer, OperatorRequest } from "../../shared/operator.ts";
import type { RunView } from "../../shared/run_view.ts";
import { AutotuneCard } from "./autotune_card.ts";
import { ChangeLog } from "./change_log.ts";
import { ControlPanel } from "./control_panel.ts";
import { byId, setText } from "./dom.ts";
import { ExportPanel } from "./export_panel.ts";
import { percent } from "./format.ts";
import { startInvitation } from "./invitation.ts";
import { latest } from "./latest.ts";
import { Notices } from "./notices.ts";
import { OperatorApi } from "./operator_api.ts";
import { OperatorCharts } from "./operator_charts.ts";
import { OperatorFeed } from "./operator_feed.ts";
import { OperatorPanels } from "./operator_panels.ts";
import { takeFragment, TokenForm } from "./operator_token.ts";
import { ReplayBar } from "./replay_bar.ts";
import type { ReplayMoment } from "./replay_player.ts";
import { ReplicaTable } from "./replica_table.ts";
import { RunLog } from "./run_log.ts";
import { LivePoints, pointsOf, type RunPoint } from "./run_series.ts";
import { RunsPanel } from "./runs_panel.ts";
import { SettingsForm } from "./settings_form.ts";
import { startTheme } from "./theme.ts";

startTheme();
startInvitation(() => `Train along: ${document.title}`);

const notices = new Notices();
const api = new OperatorApi(askAgain);
const form = new TokenForm(open);
const panels = new OperatorPanels();
const charts = new OperatorCharts();
const livePoints = new LivePoints();
const autotune = new AutotuneCard();
const changes = new ChangeLog();
const control = new ControlPanel(send);
const settings = new SettingsForm(send);
const replicas = new ReplicaTable(send);
const exports = new ExportPanel(api);
const replayBar = new ReplayBar({ moved: showMoment, left: showLiveAgain });
const runs = new RunsPanel(api, {
  compared: (curves) => charts.compare(curves),
  replay: (name) => void openReplay(name),
});
const status = byId("runs-answer", HTMLElement);

let newest: RunView | undefined;
let reading = new AbortController();

/** What both live and replayed views fill. */
function showPanels(view: RunView, clockSeconds: number, isClosed: boolean): void {
  panels.show(view, clockSeconds);
  autotune.show(view.autotune);
  changes.show(view.changes);
  control.show(view, isClosed);
  settings.show(view, isClosed);
  replicas.show(view.replicas);
  runs.show(view);
}

function isOver({ state }: RunView): boolean {
  return state === "reached" || state === "stopped";
}

const showLive = latest((view: RunView) => {
  // Kept while a replay is shown, so that no moment is missing from the curves afterwards.
  const points = livePoints.take(view);
  if (replayBar.isOpen) return;
  charts.show({ view, points });
  showPanels(view, performance.now() / 1000, isOver(view));
  exports.show(view.run, false);
});

const feed = new OperatorFeed(api, {
  view: (view) => {
    form.accepted();
    notices.clear("view");
    notices.clear("over");
    newest = view;
    showLive(view);
  },
  live: () => {
    form.accepted();
    notices.clear("coordinator");
    document.body.classList.remove("stale");
  },
  gone: () => {
    if (newest !== undefined && isOver(newest)) {
      notices.show("over", "good", "The run is over and its coordinator has ended. What you see is the result.");
      return;
    }
    document.body.classList.add("stale");
    panels.gone();
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
});

function open(token: string): void {
  api.use(token);
  feed.start();
  runs.start();
}

/** The coordinator did not take the token that it was asked with. */
function askAgain(): void {
  feed.stop();
  runs.stop();
  form.ask(
    "The coordinator does not take this token. It belongs to one run: after a start with another name there is another one.",
  );
}

function send(request: OperatorRequest): Promise<OperatorAnswer> {
  return api.order(request);
}

async function openReplay(name: string): Promise<void> {
  reading.abort();
  reading = new AbortController();
  const { signal } = reading;
  const log = new RunLog(api, name);
  const problem = await log
    .read((share) => setText(status, `Reading the event log of ${name}: ${percent(share, 0)}`), signal)
    .catch(() => "");
  if (signal.aborted) return;
  const isEmpty = log.replay.settings === undefined;
  status.classList.toggle("problem", problem !== undefined || isEmpty);
  if (problem !== undefined || isEmpty) {
    setText(status, problem ?? `The event log of ${name} has no beginning that this page can read.`);
    return;
  }
  setText(status, "");
  panels.forget();
  replicas.control(false);
  replayBar.open(name, log.replay);
  scrollTo({ top: 0 });
}

let ends = new WeakMap<RunReplay, RunPoint | undefined>();

function showMoment({ view, seconds }: ReplayMoment, replay: RunReplay): void {
  if (!ends.has(replay)) {
    const last = replay.viewAt(Infinity);
    ends = new WeakMap([[replay, last && endOf(last, replay.duration)]]);
  }
  charts.show({ view, points: pointsOf(view.history), end: ends.get(replay) });
  showPanels(view, seconds, true);
  exports.show(view.run, true);
}

/** How far the curves of a replay will go. */
function endOf({ samples, bytesUp, bytesDown }: RunView, seconds: number): RunPoint {
  const bytes = bytesUp + bytesDown;
  return { seconds, samples, bytes, accuracy: null, testLoss: null, trainLoss: null, samplesPerSecond: null };
}

function showLiveAgain(): void {
  panels.forget();
  replicas.control(true);
  if (newest !== undefined) showLive(newest);
}

function begin(): void {
  const { token, replay } = takeFragment();
  if (token === undefined) {
    form.ask();
    return;
  }
  open(token);
  if (replay !== undefined) void openReplay(replay);
}

// A link with a token that is pasted into this tab changes the fragment and nothing else.
window.addEventListener("hashchange", () => {
  if (location.hash.includes("token=")) begin();
});
begin();
