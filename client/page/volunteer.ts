/**
 * The volunteer's page: says what is trained and what that takes, and once Start is pressed, shows what the Web Worker
 * reports. No worker and no socket exists before that (SPEC E4).
 */

import type { BackendChoice, Phase, ReplicaProgress } from "../messages.ts";
import { isBackendWish, type BackendWish } from "../../shared/backends.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { RunView } from "../../shared/run_view.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { adviceFor, surroundings } from "./browser_advice.ts";
import { Controls, isAtRest, type Wish } from "./controls.ts";
import { DevicePanel } from "./device_panel.ts";
import { byId, Fields, setText } from "./dom.ts";
import { explain, explainAssignment } from "./explanation.ts";
import { counted, duration, loss, percent, whole } from "./format.ts";
import { latest } from "./latest.ts";
import { Notices } from "./notices.ts";
import { OwnNumbers } from "./own_numbers.ts";
import { PeerConsent } from "./peer_consent.ts";
import { RunCard } from "./run_card.ts";
import { RunFeed } from "./run_feed.ts";
import { requestRunSettings } from "./run_settings_request.ts";
import { Stopwatch } from "./stopwatch.ts";
import { startTheme } from "./theme.ts";
import { Training } from "./training.ts";

startTheme();

const link = new URLSearchParams(location.search);
const notices = new Notices();
const controls = new Controls(obey);
const own = new OwnNumbers();
const devicePanel = new DevicePanel();
const runCard = new RunCard();
const consent = new PeerConsent();

let settings: RunSettings | undefined;
let view: RunView | undefined;
let training: Training | undefined;
let replica: string | undefined;
let stopwatch = new Stopwatch();
let progress: ReplicaProgress | undefined;

const showProgress = latest((newest: ReplicaProgress) => {
  own.show(newest, stopwatch.seconds(performance.now()));
  showAssignment();
  showTitle();
});

const showView = latest((newest: RunView) => {
  runCard.show(newest, replica);
  own.share(newest.replicas.find((one) => one.id === replica));
  showAssignment();
  showTitle();
});

function showAssignment(): void {
  if (settings === undefined || progress?.assignment === undefined) return;
  const group = view?.replicas.find((one) => one.id === replica)?.group ?? null;
  own.assigned(explainAssignment(settings, progress.assignment, group, view?.groups ?? null));
}

function obey(wish: Wish): void {
  switch (wish) {
    case "start":
      start();
      return;
    case "pause":
      training?.pause();
      return;
    case "resume":
      training?.resume();
      return;
    case "stop":
      training?.stop();
      return;
    default:
      wish satisfies never;
  }
}

function start(): void {
  if (settings === undefined || !isAtRest(controls.phase)) return;
  notices.clear("training");
  stopwatch = new Stopwatch();
  replica = undefined;
  progress = undefined;
  own.begin();
  devicePanel.clear();
  showPhase("loading-data", undefined);
  training = new Training(
    settings,
    {
      backend: backendWish(settings),
      threads: threadsWish(),
      dutyCycle: dutyCycleWish(),
      allowsPeers: consent.isGiven,
    },
    {
      phase: showPhase,
      loading: (loaded, examples) =>
        controls.detail(loaded < examples ? `${whole(loaded)} of ${counted(examples, "image", "images")} fetched` : ""),
      backend: (choice: BackendChoice) => devicePanel.show(choice),
      tuning: (tuning) => devicePanel.tuning(tuning),
      progress: (newest) => {
        progress = newest;
        replica = newest.replica ?? replica;
        showProgress(newest);
      },
      failed: (sentence) => notices.show("training", "trouble", sentence),
    },
  );
}

function showPhase(phase: Phase, detail: string | undefined): void {
  stopwatch.phase(phase, performance.now());
  controls.show(phase, detail ?? summaryAfter(phase));
  consent.mayChange(isAtRest(phase));
  if (isAtRest(phase)) training = undefined;
  if (phase === "reconnecting") {
    notices.show(
      "coordinator",
      "trouble",
      "The coordinator is out of reach. This page keeps trying and goes on by itself; what your machine learned is kept meanwhile. If it lasts, check your connection, or ask whoever sent you the link.",
    );
  } else {
    notices.clear("coordinator");
  }
  showTitle();
}

/** What the volunteer gave, once it is over. */
function summaryAfter(phase: Phase): string | undefined {
  if ((phase !== "stopped" && phase !== "finished") || progress === undefined) return undefined;
  return `Thank you: ${counted(progress.samples, "image", "images")} in ${duration(stopwatch.seconds(performance.now()))}, ${counted(progress.applied, "exchange", "exchanges")} applied to the center.`;
}

function showTitle(): void {
  const { phase } = controls;
  const accuracy = view?.accuracy === undefined || view.accuracy === null ? "" : `${percent(view.accuracy)} · `;
  const trains =
    phase === "training" ? `${progress?.loss === undefined ? "" : `loss ${loss(progress.loss)} · `}training · ` : "";
  const title = `${trains === "" ? accuracy : trains}${phase === "paused" ? "paused · " : ""}Drove`;
  if (document.title !== title) document.title = title;
}

/** What `drove join` asks of the browsers that it starts. */
function threadsWish(): number | undefined {
  const threads = Number(link.get("threads"));
  return Number.isInteger(threads) && threads >= 1 && threads <= LIMITS.threads ? threads : undefined;
}

function dutyCycleWish(): number | undefined {
  const share = Number(link.get("duty") ?? "1");
  return share > 0 && share < 1 ? share : undefined;
}

function backendWish(known: RunSettings): BackendWish {
  const asked = link.get("backend");
  return isBackendWish(asked) && asked !== "auto" ? asked : known.backend;
}

function introduce(known: RunSettings): void {
  const words = explain(known, backendWish(known));
  setText(byId("title", HTMLElement), words.title.replace(/\.$/, ""));
  const fields = new Fields([
    "network",
    "data",
    "goal",
    "method",
    "for-whom",
    "term-compute",
    "term-download",
    "term-exchange",
  ]);
  fields.write("network", words.network);
  fields.write("data", words.data);
  fields.write("goal", words.goal);
  fields.write("method", words.method);
  fields.write("for-whom", `The run “${known.run}”, coordinated by ${location.host}`);
  fields.write("term-compute", words.compute);
  fields.write("term-download", words.download);
  fields.write("term-exchange", words.exchange);
  byId("about", HTMLElement).hidden = false;
  const advice = adviceFor(surroundings(), backendWish(known));
  if (advice !== undefined) notices.show("browser", "advice", advice);
}

function isOver(known: RunView | undefined): boolean {
  return known?.state === "reached" || known?.state === "stopped";
}

function showEnd(newest: RunView): void {
  const over = isOver(newest);
  controls.allowStart(settings !== undefined && !over);
  if (!over) {
    notices.clear("over");
    return;
  }
  const reached = newest.state === "reached" ? "This run has reached its goal" : "This run was stopped by its operator";
  const accuracy = newest.accuracy === null ? "" : `, at ${percent(newest.accuracy, 2)} held-out accuracy`;
  notices.show(
    "over",
    "good",
    `${reached}${accuracy}. Nothing more is needed; ask whoever sent you the link for the next one.`,
  );
}

function showCourtesy(): void {
  setText(
    byId("courtesy", HTMLElement),
    document.hidden
      ? "This tab is hidden. Training goes on until you stop it or close the tab."
      : "You may switch to another tab or window: training goes on until you press Stop or close this tab.",
  );
}

new RunFeed({
  view: (newest) => {
    view = newest;
    notices.clear("view");
    showEnd(newest);
    showView(newest);
  },
  live: () => {
    if (controls.phase !== "reconnecting") notices.clear("coordinator");
  },
  gone: () => {
    runCard.gone();
    // The question for the settings, or the worker, says it in its own words.
    if (settings === undefined || controls.phase === "reconnecting") return;
    // A coordinator may end with its run.
    if (controls.phase === "finished" || isOver(view)) return;
    notices.show(
      "coordinator",
      "trouble",
      "The coordinator does not answer. This page keeps trying and goes on by itself; if it lasts, check your connection, or ask whoever sent you the link.",
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

const asked = link.get("backend");
if (asked !== null && !isBackendWish(asked)) {
  notices.show(
    "link",
    "advice",
    `The link asks for the backend “${asked}”, which does not exist. It is ignored; use webgpu, wasm, hybrid or auto.`,
  );
}

document.addEventListener("visibilitychange", showCourtesy);
showCourtesy();
// The worker says goodbye, so that the place is freed at once and not after its lease.
window.addEventListener("beforeunload", () => training?.stop());
setInterval(() => {
  if (controls.phase === "training") own.time(stopwatch.seconds(performance.now()));
}, 1000);

settings = await requestRunSettings((problem) => notices.show("settings", "trouble", problem));
notices.clear("settings");
introduce(settings);
if (settings.peers) consent.ask();
controls.allowStart(!isOver(view));
// Headless volunteers of `drove join` have nobody who presses Start. A person's browser is never started by a link.
if (link.get("start") === "1" && navigator.webdriver) {
  // Whoever started them said so there.
  if (link.get("peers") === "1") consent.give();
  start();
}
