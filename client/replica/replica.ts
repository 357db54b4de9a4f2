/**
 * A replica: the one loop that trains, exchanges and keeps the connection alive. Runs the same in a Web Worker and in
 * Node, because clock, link and device are handed in. Everything that happens outside (messages, a lost device, pause,
 * stop) is noted when it happens and acted on here, between two steps.
 */

import type { Random } from "../../shared/random.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { replicaRuleOf, type ReplicaRule } from "../../shared/solver/replica_rule.ts";
import type { Header } from "../../shared/wire/messages.ts";
import type { FailureKind, Phase, ReplicaIdentity, ReplicaProgress } from "../messages.ts";
import type { Clock } from "./clock.ts";
import { Connection, type ConnectionEvent, type ConnectionOptions, type ConnectLink } from "./connection.ts";
import { Conversation } from "./conversation.ts";
import { DeviceKeeper } from "./device_keeper.ts";
import { Exchange } from "./exchange.ts";
import type { HeldCenter } from "./held_center.ts";
import { hiddenPeriodFactor } from "./hidden_tab.ts";
import { LocalTraining, type Device } from "./local_training.ts";
import { Pace } from "./pace.ts";
import type { OpenPeer } from "./peer_port.ts";
import { PeerGroup } from "./peers/peer_group.ts";
import { PhaseTeller } from "./phase_teller.ts";
import { Progress } from "./progress.ts";
import { Standing } from "./standing.ts";
import { Waiting } from "./waiting.ts";

export type Ending =
  | { readonly kind: "stopped"; readonly sentence?: string }
  | { readonly kind: "finished"; readonly reason: string }
  | { readonly kind: "failed"; readonly failure: FailureKind; readonly sentence: string };

export interface ReplicaOptions {
  readonly settings: RunSettings;
  readonly device: Device;
  /** Another device for a lost one, or a rejection that says why there is none. */
  readonly replaceDevice: (whatHappened: string) => Promise<Device>;
  /** What `replaceDevice` did, as a sentence for the volunteer. */
  readonly wordsOfReplacement?: () => string | undefined;
  readonly connect: ConnectLink;
  /** Opens peer connections; none where left out. */
  readonly openPeer?: OpenPeer;
  /** The volunteer allows connections to other volunteers, which show them its address (SPEC G8). */
  readonly allowsPeers?: boolean;
  /** A center that was fetched before (SPEC D3). */
  readonly held?: HeldCenter;
  readonly clock: Clock;
  /** For the jitter of reconnects. */
  readonly random: Random;
  /** The share of the time in which it computes, above 0 and up to 1; all of it where left out. */
  readonly dutyCycle?: number;
  /** The tab is in the background. */
  readonly isHidden?: boolean;
  /** That the volunteer offers. */
  readonly name?: string | undefined;
  /** Of an earlier participation, to go on as the same replica. */
  readonly identity?: ReplicaIdentity | undefined;
  /** At every welcome: who it is. */
  readonly onIdentity?: (identity: ReplicaIdentity) => void;
  /** What others than the replica know of its progress. */
  readonly elsewhere?: () => Pick<ReplicaProgress, "bytesFetched" | "firstStep">;
  /** The first local step is done. */
  readonly onFirstStep?: () => void;
  readonly onPhase: (phase: Phase, detail?: string) => void;
  readonly onProgress: (progress: ReplicaProgress) => void;
}

const PROGRESS_MS = 250;
/** How long the loop rests where there is nothing to do; the connection wants to be looked after meanwhile. */
const REST_MS = 500;
export class Replica {
  readonly #options: ReplicaOptions;
  readonly #clock: Clock;
  readonly #progress = new Progress();
  readonly #training: LocalTraining;
  readonly #connection: Connection;
  readonly #conversation: Conversation;
  readonly #peers: PeerGroup | undefined;
  readonly #rule: ReplicaRule;
  readonly #pace: Pace;
  readonly #device: DeviceKeeper;
  readonly #standing = new Standing();
  readonly #phases: PhaseTeller;
  readonly #waiting: Waiting;
  readonly #events: ConnectionEvent[] = [];
  #ending: Ending | undefined;
  #isHidden: boolean;
  #name: string | undefined;
  #progressDueMs = 0;

  constructor(options: ReplicaOptions) {
    const { settings, device, clock, dutyCycle = 1, isHidden = false, name } = options;
    const nowMs = (): number => clock.nowMs();
    const { elements } = device.program.plan.layout;
    this.#options = options;
    this.#clock = clock;
    this.#rule = replicaRuleOf(settings.solver, settings.exchange);
    this.#isHidden = isHidden;
    this.#name = name;
    this.#phases = new PhaseTeller(options.onPhase);
    this.#waiting = new Waiting(clock);
    this.#pace = new Pace(clock, this.#waiting, this.#progress, dutyCycle);
    this.#training = new LocalTraining(settings, this.#rule, device);
    this.#connection = new Connection({
      connect: options.connect,
      identity: options.identity,
      nowMs,
      random: options.random,
      elements,
      fragments: settings.fragments,
      introduction: () => ({
        layoutHash: settings.layoutHash,
        backend: this.#training.device.backend,
        device: this.#training.device.description,
        samplesPerSecond: this.#training.device.samplesPerSecond * this.#pace.dutyCycle.share,
        shards: this.#training.shards,
        ...(this.#peers ? { allowsPeers: true } : {}),
        ...this.#conversation.offer,
      }),
      vitals: () => ({ samplesPerSecond: this.#progress.samplesPerSecond, steps: this.#progress.localSteps }),
      profile: () => ({
        ...(this.#name === undefined ? {} : { name: this.#name }),
        isHidden: this.#isHidden,
        dutyCycle: this.#pace.dutyCycle.share,
      }),
      onEvent: (event) => {
        this.#events.push(event);
        this.#waiting.wake();
      },
      ...travelOf(settings, options.openPeer),
    });
    this.#peers = this.#peerGroup(elements);
    this.#conversation = new Conversation({
      rule: this.#rule,
      nowMs,
      training: this.#training,
      connection: this.#connection,
      exchange: new Exchange(elements, settings.fragments),
      ...(this.#peers ? { peers: this.#peers } : {}),
      progress: this.#progress,
      held: options.held,
      periodFactor: () => this.#periodFactor,
      onChange: () => this.#waiting.wake(),
      onHopeless: (failure, sentence) => this.#end({ kind: "failed", failure, sentence }),
      onDeviceFailure: (error) => {
        this.#device.failed(error);
        this.#waiting.interrupt();
      },
    });
    this.#device = new DeviceKeeper({
      clock,
      waiting: this.#waiting,
      current: () => this.#training.device,
      hasEnded: () => this.#ending !== undefined,
      replace: options.replaceDevice,
      onReplaced: (replacement) => this.#useDevice(replacement),
    });
  }

  /** Takes part until the run is over, `stop` is called or nothing helps any more. Never rejects. May begin paused. */
  async run(): Promise<Ending> {
    try {
      const problem = problemOf(this.#options.settings, this.#training.device);
      if (problem) return { kind: "failed", failure: "old-client", sentence: problem };
      if (!this.#standing.isPaused) this.resume();
      while (!this.#ending) await this.#once();
      return this.#ending;
    } catch (error) {
      const failure = this.#device.isLost ? "device-lost" : "other";
      return { kind: "failed", failure, sentence: `Training stopped: ${sentenceOf(error)}` };
    } finally {
      this.#leave();
      this.#report();
    }
  }

  /** Stops after the current step. The place at the coordinator is kept, except where others would wait for it. */
  pause(): void {
    if (this.#standing.isPaused || this.#standing.finish || this.#ending) return;
    this.#standing.isPaused = true;
    this.#progress.interrupted();
    if (this.#rule.isAwaited) this.#leave();
    this.#phases.say("paused");
    this.#report();
  }

  resume(): void {
    if (this.#standing.finish || this.#ending) return;
    this.#standing.isPaused = false;
    this.#connection.open();
    this.#sayWhereWeAre();
    this.#waiting.wake();
  }

  /** Pushes what was trained, waits for the answer, and ends. A second time, or after 20 s without an answer, it ends at once. */
  finish(): void {
    this.#finish();
  }

  stop(): void {
    const isCutShort = this.#standing.finish !== undefined;
    this.#end({ kind: "stopped", ...(isCutShort ? { sentence: this.#standing.wordsOfEnd("cut-short") } : {}) });
  }

  /** The share of the time in which it computes, from now on. */
  setDutyCycle(share: number): void {
    this.#pace.setDutyCycle(share);
    this.#connection.profileChanged();
  }

  setHidden(isHidden: boolean): void {
    this.#isHidden = isHidden;
    this.#connection.profileChanged();
  }

  setName(name: string | undefined): void {
    this.#name = name;
    this.#connection.profileChanged();
  }

  get #periodFactor(): number {
    if (!this.#isHidden) return 1;
    return hiddenPeriodFactor(this.#rule, this.#training.assignment, this.#progress.samplesPerSecond);
  }

  async #once(): Promise<void> {
    this.#connection.tick();
    this.#peers?.tick();
    const { finish, waits } = this.#standing;
    if (this.#device.isBroken && !waits && !finish) {
      this.#progress.interrupted();
      await this.#device.replace();
    }
    this.#reportIfDue();
    try {
      this.#handleEvents();
      if (this.#ending) return;
      if (this.#standing.finish) return await this.#finishOnce(this.#standing.finish.untilMs);
      if (this.#standing.waits) return await this.#rest();
      if (this.#pace.dutyCycle.owedMs > 0) return await this.#pace.restOwed((ms) => this.#rest(Math.min(REST_MS, ms)));
      this.#conversation.advance();
      if (!this.#conversation.mayStep) return await this.#rest();
      await this.#step();
    } catch (error) {
      this.#device.failed(error);
    }
  }

  async #step(): Promise<void> {
    const beganMs = this.#clock.nowMs();
    const samples = this.#training.step();
    const blockedMs = this.#clock.nowMs() - beganMs;
    const { room } = this.#training;
    if (room) await this.#waiting.until(room);
    await this.#pace.account(beganMs, () => this.#training.idle());
    this.#progress.stepped(samples, beganMs, this.#clock.nowMs());
    if (this.#progress.localSteps === 1) this.#tellOfFirstStep();
    // A breath is for what is between two steps.
    if (!this.#conversation.mayStep) return;
    // A hidden tab's timers come up to a second late.
    const isAwaited = !this.#isHidden && (this.#conversation.isLate || this.#training.isLoading);
    await this.#pace.breathe(blockedMs, isAwaited);
  }

  #handleEvents(): void {
    // One by one: where the device fails at one, the others are still there for the next device.
    for (let event = this.#events.shift(); event; event = this.#events.shift()) this.#handle(event);
  }

  #introduce({ replica, token }: ReplicaIdentity): void {
    this.#options.onIdentity?.({ replica, token });
  }

  #handle(event: ConnectionEvent): void {
    switch (event.kind) {
      case "welcomed":
        this.#standing.isHeld = false;
        this.#conversation.welcomed(event.message);
        this.#introduce(event.message.header);
        this.#sayWhereWeAre();
        break;
      case "received":
        this.#conversation.received(event);
        break;
      case "grouped":
        this.#peers?.grouped(event.header, this.#connection.replica ?? "");
        break;
      case "signalled":
        this.#peers?.signalled(event.header);
        break;
      case "lost":
        this.#peers?.disconnected();
        this.#conversation.connectionLost();
        this.#sayWhereWeAre(event.retryInMs);
        break;
      case "rerouted":
        this.#conversation.rerouted();
        break;
      case "controlled":
        this.#obey(event.header);
        break;
      case "finished":
        this.#end({ kind: "finished", reason: event.reason });
        break;
      case "refused":
        this.#end({ kind: "failed", failure: event.failure, sentence: event.sentence });
        break;
      default:
        event satisfies never;
    }
  }

  /** SPEC O2. */
  #obey({ order, reason }: Header<"control">): void {
    switch (order) {
      case "drain":
        return this.#finish(reason);
      case "pause":
      case "resume":
        this.#standing.isHeld = order === "pause";
        this.#standing.holdReason = reason;
        if (order === "pause") this.#progress.interrupted();
        return this.#sayWhereWeAre();
      default:
        return order satisfies never;
    }
  }

  #finish(reason?: string): void {
    if (this.#ending) return;
    if (!this.#standing.beginFinish(this.#clock.nowMs(), reason)) return this.stop();
    if (!this.#conversation.hasJoined || this.#connection.isAway) return this.#endFinished("nothing");
    this.#progress.interrupted();
    this.#conversation.finish();
    this.#sayWhereWeAre();
    this.#waiting.wake();
  }

  /** Neither pauses nor a duty cycle hold it up. */
  async #finishOnce(untilMs: number): Promise<void> {
    const leftMs = untilMs - this.#clock.nowMs();
    if (this.#conversation.isSettled) return this.#endFinished("settled");
    if (this.#device.isBroken) return this.#endFinished("device-lost");
    if (leftMs <= 0) return this.#endFinished("unanswered");
    this.#conversation.advance();
    await this.#rest(Math.min(REST_MS, leftMs));
  }

  #endFinished(how: Parameters<Standing["wordsOfEnd"]>[0]): void {
    this.#end({ kind: "stopped", sentence: this.#standing.wordsOfEnd(how) });
  }

  #tellOfFirstStep(): void {
    this.#options.onFirstStep?.();
    this.#report();
  }

  #leave(): void {
    this.#peers?.disconnected();
    this.#connection.leave();
  }

  #peerGroup(elements: number): PeerGroup | undefined {
    const { settings, openPeer, allowsPeers, clock } = this.#options;
    if (!settings.peers || !allowsPeers || !openPeer) return undefined;
    return new PeerGroup({
      openPeer,
      iceServers: settings.iceServers,
      nowMs: () => clock.nowMs(),
      elements,
      signal: (header) => this.#connection.signal(header),
      joined: (header) => this.#connection.joined(header),
    });
  }

  #useDevice(device: Device): void {
    this.#conversation.deviceReplaced(device);
    // Its maker told the volunteer of other phases meanwhile.
    this.#phases.forget();
    const words = this.#options.wordsOfReplacement?.();
    if (words !== undefined) this.#phases.sayOnceTraining(words);
    if (!this.#ending) this.#sayWhereWeAre();
  }

  #end(ending: Ending): void {
    this.#ending ??= ending;
    this.#waiting.interrupt();
  }

  async #rest(ms = REST_MS): Promise<void> {
    // What happened since the events were handled must not be slept through.
    if (this.#events.length === 0) await this.#waiting.rest(ms);
  }

  #sayWhereWeAre(retryInMs?: number): void {
    const { finish, isPaused, isHeld, holdReason } = this.#standing;
    if (this.#ending) return;
    if (finish) return this.#phases.say("finishing", this.#standing.finishWords);
    if (isPaused) return;
    if (this.#connection.isLive) {
      if (isHeld) return this.#phases.say("held", holdReason === "" ? undefined : holdReason);
      return this.#phases.training();
    }
    const { hasJoined, mayStep: trains } = this.#conversation;
    this.#phases.disconnected(retryInMs, { hasJoined, trains });
  }

  #reportIfDue(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs < this.#progressDueMs) return;
    this.#progressDueMs = nowMs + PROGRESS_MS;
    this.#report();
  }

  #report(): void {
    const { replica, bytesUp, bytesDown, route: transport } = this.#connection;
    const { assignment } = this.#training;
    const { bytesFetched, firstStep } = this.#options.elsewhere?.() ?? { bytesFetched: 0, firstStep: undefined };
    const known = { replica, assignment, bytesUp, bytesDown, transport, bytesFetched, firstStep };
    const nowMs = this.#clock.nowMs();
    this.#options.onProgress(this.#progress.report({ ...known, periodFactor: this.#periodFactor, nowMs }));
  }
}

function travelOf(
  { transport, lossy, iceServers }: RunSettings,
  openPeer: OpenPeer | undefined,
): Pick<ConnectionOptions, "travel"> {
  return openPeer && transport !== "websocket" ? { travel: { wish: transport, lossy, iceServers, openPeer } } : {};
}

function problemOf(settings: RunSettings, device: Device): string | undefined {
  // Saves a connection that would be refused; H4 says what the hash covers.
  if (device.program.plan.layout.hash === settings.layoutHash) return undefined;
  return "This client lays out the model's parameters otherwise than the coordinator. Reload the page to get the current client.";
}

export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
