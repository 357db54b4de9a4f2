/** The parts of the volunteer's page put together: who is told of what, from opening the link to leaving. */

import type { BackendWish } from "../../shared/backends.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { PublicView } from "../../shared/run_view.ts";
import type { FailureKind, ReplicaIdentity, ReplicaProgress } from "../messages.ts";
import { adviceFor, surroundings } from "./browser_advice.ts";
import { Controls, type Wish } from "./controls.ts";
import { DevicePanel } from "./device_panel.ts";
import { byId } from "./dom.ts";
import { explainAssignment } from "./explanation.ts";
import { ACTIONS, FAILURES, type FailureAction } from "./failures.ts";
import { startForgetting } from "./forgetting.ts";
import { counted, short, whole } from "./format.ts";
import { Introduction } from "./introduction.ts";
import { startInvitation } from "./invitation.ts";
import { latest } from "./latest.ts";
import { Leaderboard } from "./leaderboard.ts";
import { readLink } from "./link_wishes.ts";
import { NameField } from "./name_field.ts";
import { Notices } from "./notices.ts";
import { OwnNumbers } from "./own_numbers.ts";
import { PeerConsent } from "./peer_consent.ts";
import type { Decision, PowerRules } from "./power/rules.ts";
import { whenItGoesOn } from "./power/words.ts";
import { PowerPanel } from "./power_panel.ts";
import { PowerWatch } from "./power_watch.ts";
import { PublicFeed } from "./public_feed.ts";
import { renewalWorked, renewOnce, wasRenewed } from "./renewal.ts";
import { RunCard } from "./run_card.ts";
import { isOver, wordsOfEnd } from "./run_end.ts";
import { requestRunSettings } from "./run_settings_request.ts";
import { pageTitle, statusLine } from "./status_line.ts";
import { Stopwatch } from "./stopwatch.ts";
import { readStored, store } from "./stored.ts";
import { Training } from "./training.ts";
import { showCourtesy, watchTab, wordsOfSleep } from "./tab_lifecycle.ts";
import { startTrial, type Trial } from "./trial/section.ts";
import { isAtRest, Volunteering, type PagePhase } from "./volunteering.ts";

const TICK_MS = 1000;
const SLEEP_TOLD_FOR_MS = 60_000;

const OUT_OF_REACH =
  "The coordinator is out of reach. This page keeps trying and goes on by itself; what your machine learned is kept meanwhile. If it lasts, check your connection, or ask whoever sent you the link.";
const NO_ANSWER =
  "The coordinator does not answer. This page keeps trying and goes on by itself; if it lasts, check your connection, or ask whoever sent you the link.";

export class VolunteerPage {
  readonly #link = readLink();
  readonly #notices = new Notices();
  readonly #controls = new Controls((wish) => this.#obey(wish));
  readonly #own = new OwnNumbers();
  readonly #devicePanel = new DevicePanel();
  readonly #runCard = new RunCard();
  readonly #leaderboard = new Leaderboard();
  readonly #consent = new PeerConsent();
  readonly #name = new NameField((name) => this.#volunteering?.training?.name(name));
  readonly #watch: PowerWatch;
  readonly #panel: PowerPanel;
  readonly #feed: PublicFeed;
  #settings: RunSettings | undefined;
  #introduction: Introduction | undefined;
  #trial: Trial | undefined;
  #view: PublicView | undefined;
  #volunteering: Volunteering | undefined;
  #replica = readStored().identity?.replica;
  #stopwatch = new Stopwatch();
  #progress: ReplicaProgress | undefined;
  #starts = 0;
  /** Since the last Start. */
  #isForgotten = false;

  readonly #showProgress = latest((newest: ReplicaProgress) => {
    this.#own.show(newest, this.#seconds);
    showCourtesy(newest.periodFactor);
    this.#showAssignment();
  });

  readonly #showView = latest((newest: PublicView) => {
    this.#runCard.show(newest);
    this.#leaderboard.show(newest.leaderboard, newest.own?.name ?? this.#name.name ?? null);
    this.#own.share(newest.own);
    this.#name.known(newest.own?.name ?? null);
    this.#introduction?.costs(newest);
    this.#trial?.view(newest);
    this.#showAssignment();
    this.#showStatus();
  });

  constructor() {
    // What nobody looks at keeps to its command alone.
    const isAttended = !this.#link.isUnattended;
    const unattended: PowerRules = {
      dutyCycle: this.#link.dutyCycle ?? 1,
      pausesOnBattery: false,
      easesUnderPressure: false,
      hours: undefined,
      capBytes: undefined,
    };
    this.#watch = new PowerWatch(unattended, (decision) => this.#takeDecision(decision));
    this.#panel = new PowerPanel((rules) => {
      if (isAttended) this.#watch.setRules(rules);
    });
    this.#feed = new PublicFeed(this.#replica, {
      view: (newest) => this.#takeView(newest),
      live: () => {
        if (this.#controls.phase !== "reconnecting") this.#notices.clear("coordinator");
      },
      gone: () => this.#missCoordinator(),
      unreadable: () => {
        this.#notices.show(
          "view",
          "advice",
          "The coordinator reports the run in a form that this page does not know. Reload the page to get the current one.",
          { actions: [{ label: ACTIONS.reload, act: () => location.reload() }] },
        );
      },
    });
  }

  /** Until the run is known; the rest happens as events. */
  async open(): Promise<void> {
    this.#panel.begin(this.#link.dutyCycle);
    this.#feed.start();
    this.#adviseOnLink();
    startInvitation(() => this.#settings?.data.title ?? "Drove");
    startForgetting(() => this.#forget());
    this.#watchLifecycle();
    showCourtesy(1);
    setInterval(() => this.#tick(), TICK_MS);
    void this.#watch.feel().then((senses) => this.#panel.sense(senses));
    this.#settings = await requestRunSettings((problem, isUnreadable) => {
      if (isUnreadable && renewOnce()) return;
      this.#notices.show("settings", "trouble", problem);
    });
    this.#notices.clear("settings");
    this.#introduce(this.#settings);
    this.#controls.allowStart(!isOver(this.#view));
    if (this.#link.isUnattended) {
      // Whoever started it said so there.
      if (this.#link.allowsPeers) this.#consent.give();
      this.#start();
    }
  }

  #introduce(settings: RunSettings): void {
    const backend = this.#backendWish(settings);
    this.#introduction = new Introduction(settings, backend);
    this.#introduction.costs(this.#view);
    const advice = adviceFor(surroundings(), backend);
    if (advice !== undefined) this.#notices.show("browser", "advice", advice);
    if (wasRenewed()) {
      this.#notices.show(
        "renewed",
        "advice",
        "This page loaded itself anew, because its coordinator is newer than it was. Press Start to go on.",
      );
    }
    if (settings.peers) this.#consent.ask();
    this.#trial = startTrial(byId("trial", HTMLElement), settings);
    if (this.#view !== undefined) this.#trial.view(this.#view);
  }

  #adviseOnLink(): void {
    const { unknownBackend } = this.#link;
    if (unknownBackend === undefined) return;
    this.#notices.show(
      "link",
      "advice",
      `The link asks for the backend “${unknownBackend}”, which does not exist. It is ignored; use webgpu, wasm, hybrid or auto.`,
    );
  }

  #obey(wish: Wish): void {
    switch (wish) {
      case "start":
        return this.#start();
      case "take-over":
        return this.#volunteering?.takeOver();
      case "pause":
        this.#volunteering?.pause();
        return this.#showHolding();
      case "resume":
        this.#volunteering?.resume();
        return this.#showHolding();
      case "finish":
        return this.#volunteering?.finish();
      case "stop":
        return this.#volunteering?.stop();
      default:
        return wish satisfies never;
    }
  }

  #start(): void {
    const settings = this.#settings;
    if (settings === undefined || !isAtRest(this.#controls.phase)) return;
    for (const matter of ["training", "renewed", "data"] as const) this.#notices.clear(matter);
    this.#stopwatch = new Stopwatch();
    this.#progress = undefined;
    this.#starts++;
    this.#isForgotten = false;
    this.#own.begin();
    this.#devicePanel.clear();
    const volunteering = new Volunteering({
      run: settings.run,
      takesTurns: !this.#link.isUnattended,
      decision: this.#watch.decision,
      launch: (dutyCycle) => this.#launch(settings, dutyCycle, () => this.#volunteering === volunteering),
      show: (phase, detail) => {
        if (this.#volunteering === volunteering) this.#showPhase(phase, detail);
      },
    });
    this.#volunteering = volunteering;
    volunteering.start();
    this.#showHolding();
  }

  #launch(settings: RunSettings, dutyCycle: number, isCurrent: () => boolean): Training {
    const source = `training ${this.#starts}`;
    const volunteering = this.#volunteering;
    this.#showPhase("loading-data", undefined);
    const training = new Training(
      settings,
      {
        backend: this.#backendWish(settings),
        threads: this.#link.threads,
        dutyCycle,
        allowsPeers: this.#consent.isGiven,
        name: this.#link.name ?? this.#name.name,
        // Headless volunteers share no past.
        identity: this.#link.isUnattended ? undefined : readStored().identity,
      },
      {
        phase: (phase, detail) => volunteering?.phase(phase, detail),
        loading: (loaded, examples) => {
          if (!isCurrent() || loaded >= examples) return;
          this.#controls.detail(`${whole(loaded)} of ${counted(examples, "image", "images")} fetched`);
        },
        backend: (choice) => this.#devicePanel.show(choice),
        tuning: (tuning) => this.#devicePanel.tuning(tuning),
        progress: (newest) => {
          this.#watch.used(source, newest.bytesUp + newest.bytesDown + newest.bytesFetched);
          if (!isCurrent()) return;
          this.#progress = newest;
          this.#showProgress(newest);
        },
        identity: (identity) => this.#remember(identity),
        failed: (failure, sentence) => this.#showFailure(failure, sentence),
      },
    );
    if (document.hidden) training.visibility(true);
    return training;
  }

  #showPhase(phase: PagePhase, detail: string | undefined): void {
    this.#stopwatch.phase(phase, performance.now());
    const status = this.#status(phase);
    this.#controls.show(phase, [detail, isAtRest(phase) ? status : ""].filter((part) => part).join(" "));
    this.#consent.mayChange(isAtRest(phase));
    this.#panel.running(!isAtRest(phase) && phase !== "queued");
    this.#showHolding();
    if (phase === "training") renewalWorked();
    if (phase === "reconnecting") this.#notices.show("coordinator", "trouble", OUT_OF_REACH);
    else this.#notices.clear("coordinator");
    this.#showStatus();
  }

  #showFailure(failure: FailureKind, sentence: string): void {
    if (failure === "old-client" && renewOnce()) return;
    // It does not come back as that replica.
    if (failure === "kicked") store({ identity: undefined });
    const { heading, actions } = FAILURES[failure];
    const acts: Record<FailureAction, () => void> = {
      retry: () => this.#start(),
      reload: () => location.reload(),
      processor: () => location.assign("?backend=wasm"),
    };
    this.#notices.show("training", "trouble", sentence, {
      heading,
      actions: actions
        .filter((action) => action !== "processor" || !this.#isOnProcessor)
        .map((action) => ({ label: ACTIONS[action], act: acts[action] })),
    });
  }

  #takeDecision(decision: Decision): void {
    this.#panel.show(decision, this.#watch.usage, !isAtRest(this.#controls.phase));
    this.#volunteering?.decide(decision);
    this.#showHolding();
    if (decision.isCapReached) {
      this.#notices.show(
        "data",
        "advice",
        "Today's data cap is reached, so training completes its exchange and stops. Raise the cap under “Your machine” to go on, or come back tomorrow.",
      );
    } else {
      this.#notices.clear("data");
    }
  }

  #showHolding(): void {
    const { decision } = this.#watch;
    const isPausedByHand = this.#volunteering?.isPausedByHand === true;
    this.#controls.held({
      isPausedByHand,
      pauses: decision.pauses,
      detail: whenItGoesOn(decision, this.#watch.rules.hours, isPausedByHand),
    });
  }

  #showAssignment(): void {
    if (this.#settings === undefined || this.#progress?.assignment === undefined) return;
    const group = this.#view?.own?.group ?? null;
    const words = explainAssignment(this.#settings, this.#progress.assignment, group, this.#view?.groups ?? null);
    this.#own.assigned(words);
  }

  get #seconds(): number {
    return this.#stopwatch.seconds(performance.now());
  }

  #status(phase: PagePhase): string {
    return statusLine({
      phase,
      progress: this.#progress,
      seconds: this.#seconds,
      visitBytes: this.#watch.usage.visitBytes,
      dutyCycle: this.#watch.decision.dutyCycle,
    });
  }

  #showStatus(): void {
    const { phase } = this.#controls;
    if (phase === "training") this.#controls.detail(this.#status(phase));
    const title = pageTitle({ phase, progress: this.#progress }, this.#view?.accuracy, document.hidden);
    if (document.title !== title) document.title = title;
  }

  #tick(): void {
    this.#watch.used("feed", this.#feed.bytes);
    if (this.#trial !== undefined) this.#watch.used("trial", this.#trial.bytesFetched);
    this.#panel.show(this.#watch.decision, this.#watch.usage, !isAtRest(this.#controls.phase));
    if (this.#controls.phase !== "training") return;
    this.#own.time(this.#seconds);
    this.#showStatus();
  }

  #takeView(newest: PublicView): void {
    const isFirst = this.#view === undefined;
    this.#view = newest;
    this.#notices.clear("view");
    this.#showEnd(newest);
    if (isFirst && newest.own !== null && this.#controls.phase === "idle") {
      this.#controls.detail(
        `Welcome back: your replica has trained on ${short(newest.own.samples)} images of this run.`,
      );
    }
    this.#showView(newest);
  }

  #showEnd(newest: PublicView): void {
    const over = isOver(newest);
    this.#controls.allowStart(this.#settings !== undefined && !over);
    if (!over) return this.#notices.clear("over");
    this.#notices.show("over", "good", wordsOfEnd(newest));
  }

  #missCoordinator(): void {
    this.#runCard.gone();
    // The question for the settings, or the worker, says it in its own words.
    if (this.#settings === undefined || this.#controls.phase === "reconnecting") return;
    // A coordinator may end with its run.
    if (this.#controls.phase === "finished" || isOver(this.#view)) return;
    this.#notices.show("coordinator", "trouble", NO_ANSWER);
  }

  #watchLifecycle(): void {
    watchTab({
      visibility: () => {
        this.#volunteering?.training?.visibility(document.hidden);
        this.#showStatus();
      },
      // The worker says goodbye, so that the place is freed at once and not after its lease.
      left: () => this.#volunteering?.stop(),
      slept: (seconds) => {
        if (isAtRest(this.#controls.phase)) return;
        this.#notices.show("sleep", "advice", wordsOfSleep(seconds));
        setTimeout(() => this.#notices.clear("sleep"), SLEEP_TOLD_FOR_MS);
      },
    });
  }

  /** So that a reload goes on as the same replica. */
  #remember(identity: ReplicaIdentity): void {
    this.#replica = identity.replica;
    this.#feed.follow(identity.replica);
    if (!this.#link.isUnattended && !this.#isForgotten) store({ identity });
  }

  #forget(): void {
    this.#isForgotten = true;
    this.#name.clear();
    this.#replica = undefined;
    this.#volunteering?.training?.name(undefined);
  }

  get #isOnProcessor(): boolean {
    return this.#settings !== undefined && this.#backendWish(this.#settings) === "wasm";
  }

  #backendWish(settings: RunSettings): BackendWish {
    return this.#link.backend ?? settings.backend;
  }
}
