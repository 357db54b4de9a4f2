/**
 * A replica: the one loop that trains, exchanges and keeps the connection alive. Runs the same in a Web Worker and in
 * Node, because clock, link and device are handed in. Everything that happens outside (messages, a lost device, pause,
 * stop) is noted when it happens and acted on here, between two steps.
 */

import type { Random } from "../../shared/random.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import { replicaRuleOf, type ReplicaRule } from "../../shared/solver/replica_rule.ts";
import type { Phase, ReplicaProgress } from "../messages.ts";
import type { Clock } from "./clock.ts";
import { Connection, type ConnectionEvent, type ConnectionOptions, type ConnectLink } from "./connection.ts";
import { Conversation } from "./conversation.ts";
import { DutyCycle } from "./duty_cycle.ts";
import { Exchange } from "./exchange.ts";
import type { HeldCenter } from "./held_center.ts";
import { LocalTraining, type Device } from "./local_training.ts";
import type { OpenPeer } from "./peer_port.ts";
import { PeerGroup } from "./peers/peer_group.ts";
import { Progress } from "./progress.ts";

export type Ending =
  | { readonly kind: "stopped" }
  | { readonly kind: "finished"; readonly reason: string }
  | { readonly kind: "failed"; readonly sentence: string };

export interface ReplicaOptions {
  readonly settings: RunSettings;
  readonly device: Device;
  /** Another device for a lost one, or a rejection that says why there is none. */
  readonly replaceDevice: (whatHappened: string) => Promise<Device>;
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
  readonly onPhase: (phase: Phase, detail?: string) => void;
  readonly onProgress: (progress: ReplicaProgress) => void;
}

const PROGRESS_MS = 250;
/** How long the loop rests where there is nothing to do; the connection wants to be looked after meanwhile. */
const REST_MS = 500;
/**
 * A browser moves 1.7 MB through a pipe in pieces, and each piece waits for the event loop of this thread. With 70 ms steps
 * (LeNet on WASM) and one look between two, a push and its answer took 15 to 27 steps; with 4 ms after each, 4 or 5
 * (Chromium 156, busy 2-core Xeon, 2026-11-21). So there the loop sleeps for this share of the time that steps block it, but only
 * while data is still coming, or while an exchange has not come back in half of its period: what is encoded mostly has.
 */
const TRANSFER_SHARE = 0.06;
/** A device that fails says that it was lost within this time, if it was. */
const LOSS_REPORT_MS = 1000;

export class Replica {
  readonly #options: ReplicaOptions;
  readonly #clock: Clock;
  readonly #progress = new Progress();
  readonly #training: LocalTraining;
  readonly #connection: Connection;
  readonly #conversation: Conversation;
  readonly #peers: PeerGroup | undefined;
  readonly #rule: ReplicaRule;
  readonly #dutyCycle: DutyCycle;
  readonly #events: ConnectionEvent[] = [];
  #ending: Ending | undefined;
  #lostDevice: string | undefined;
  #deviceFailure: unknown;
  #isPaused = false;
  #phase: Phase = "idle";
  #progressDueMs = 0;
  /** To what is being transferred. */
  #owedMs = 0;
  /** Ends the wait that the loop is in. */
  #endRest: (() => void) | undefined;
  #endWait: (() => void) | undefined;

  constructor(options: ReplicaOptions) {
    const { settings, device, clock, dutyCycle = 1 } = options;
    const nowMs = (): number => clock.nowMs();
    const { elements } = device.program.plan.layout;
    this.#options = options;
    this.#clock = clock;
    this.#rule = replicaRuleOf(settings.solver, settings.exchange);
    this.#dutyCycle = new DutyCycle(dutyCycle);
    this.#training = new LocalTraining(settings, this.#rule, device);
    this.#connection = new Connection({
      connect: options.connect,
      nowMs,
      random: options.random,
      elements,
      fragments: settings.fragments,
      introduction: () => ({
        layoutHash: settings.layoutHash,
        backend: this.#training.device.backend,
        device: this.#training.device.description,
        samplesPerSecond: this.#training.device.samplesPerSecond * dutyCycle,
        ...(this.#peers ? { allowsPeers: true } : {}),
        ...this.#conversation.offer,
      }),
      vitals: () => ({ samplesPerSecond: this.#progress.samplesPerSecond, steps: this.#progress.localSteps }),
      onEvent: (event) => {
        this.#events.push(event);
        this.#wake();
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
      onChange: () => this.#wake(),
      onHopeless: (sentence) => this.#end({ kind: "failed", sentence }),
      onDeviceFailure: (error) => {
        this.#deviceFailure ??= error;
        this.#interrupt();
      },
    });
    this.#watch(device);
  }

  /** Takes part until the run is over, `stop` is called or nothing helps any more. Never rejects. May begin paused. */
  async run(): Promise<Ending> {
    try {
      const problem = problemOf(this.#options.settings, this.#training.device);
      if (problem) return { kind: "failed", sentence: problem };
      if (!this.#isPaused) this.resume();
      while (!this.#ending) await this.#once();
      return this.#ending;
    } catch (error) {
      return { kind: "failed", sentence: `Training stopped: ${sentenceOf(error)}` };
    } finally {
      this.#leave();
      this.#report();
    }
  }

  /** Stops after the current step. The place at the coordinator is kept, except where others would wait for it. */
  pause(): void {
    if (this.#isPaused || this.#ending) return;
    this.#isPaused = true;
    this.#progress.interrupted();
    if (this.#rule.isAwaited) this.#leave();
    this.#say("paused");
    this.#report();
  }

  resume(): void {
    if (this.#ending) return;
    this.#isPaused = false;
    this.#connection.open();
    this.#sayWhereWeAre();
    this.#wake();
  }

  stop(): void {
    this.#end({ kind: "stopped" });
  }

  async #once(): Promise<void> {
    this.#connection.tick();
    this.#peers?.tick();
    const isBroken = this.#lostDevice !== undefined || this.#deviceFailure !== undefined;
    if (isBroken && !this.#isPaused) await this.#replaceDevice();
    this.#reportIfDue();
    try {
      this.#handleEvents();
      if (this.#ending) return;
      if (this.#isPaused) return await this.#rest();
      if (this.#dutyCycle.owedMs > 0) return await this.#restOwed();
      this.#conversation.advance();
      if (!this.#conversation.mayStep) return await this.#rest();
      await this.#step();
    } catch (error) {
      this.#deviceFailure ??= error;
    }
  }

  async #step(): Promise<void> {
    const beganMs = this.#clock.nowMs();
    const samples = this.#training.step();
    const blockedMs = this.#clock.nowMs() - beganMs;
    const { room } = this.#training;
    if (room) await this.#waitFor(room);
    if (this.#dutyCycle.isLimited) {
      // What waits in a queue has not been computed yet.
      await this.#waitFor(this.#training.idle());
      this.#dutyCycle.worked(this.#clock.nowMs() - beganMs);
    }
    this.#progress.stepped(samples, beganMs, this.#clock.nowMs());
    // A breath is for what is between two steps.
    if (this.#conversation.mayStep) await this.#breathe(blockedMs);
  }

  /** A step of a slower device would not be done before; what happens meanwhile is seen to. */
  async #restOwed(): Promise<void> {
    const beganMs = this.#clock.nowMs();
    await this.#rest(Math.min(REST_MS, this.#dutyCycle.owedMs));
    const nowMs = this.#clock.nowMs();
    this.#dutyCycle.rested(nowMs - beganMs);
    this.#progress.rested(beganMs, nowMs);
  }

  /** Lets messages in after a step that kept the event loop blocked for `blockedMs`. */
  async #breathe(blockedMs: number): Promise<void> {
    const { transferMs = Number.POSITIVE_INFINITY } = this.#clock;
    const isAwaited = this.#conversation.isLate || this.#training.isLoading;
    this.#owedMs = isAwaited ? this.#owedMs + TRANSFER_SHARE * blockedMs : 0;
    if (this.#owedMs < transferMs) return this.#clock.breathe();
    this.#owedMs = 0;
    await this.#waitFor(this.#clock.sleep(transferMs));
  }

  #handleEvents(): void {
    // One by one: where the device fails at one, the others are still there for the next device.
    for (let event = this.#events.shift(); event; event = this.#events.shift()) this.#handle(event);
  }

  #handle(event: ConnectionEvent): void {
    switch (event.kind) {
      case "welcomed":
        this.#conversation.welcomed(event.message);
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
        break;
      case "finished":
        this.#end({ kind: "finished", reason: event.reason });
        break;
      case "refused":
        this.#end({ kind: "failed", sentence: event.sentence });
        break;
      default:
        event satisfies never;
    }
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

  #watch(device: Device): void {
    void device.lost.then((sentence) => this.#deviceLost(device, sentence));
  }

  #deviceLost(device: Device, sentence: string): void {
    if (this.#training.device !== device) return;
    this.#lostDevice = sentence;
    this.#interrupt();
  }

  async #replaceDevice(): Promise<void> {
    const failure = this.#deviceFailure;
    // An error without a lost device is a fault of ours, which another device would not heal.
    if (this.#lostDevice === undefined) await this.#waitFor(this.#clock.sleep(LOSS_REPORT_MS));
    if (this.#ending) return;
    if (this.#lostDevice === undefined) throw failure;
    this.#progress.interrupted();
    await this.#waitFor(this.#options.replaceDevice(this.#lostDevice).then((device) => this.#useDevice(device)));
  }

  #useDevice(device: Device): void {
    this.#lostDevice = undefined;
    this.#deviceFailure = undefined;
    this.#conversation.deviceReplaced(device);
    this.#watch(device);
    // Its maker told the volunteer of other phases meanwhile.
    this.#phase = "idle";
    if (!this.#ending) this.#sayWhereWeAre();
  }

  #end(ending: Ending): void {
    this.#ending ??= ending;
    this.#interrupt();
  }

  /** Waits for `ms` or until something happens. */
  async #rest(ms = REST_MS): Promise<void> {
    // What happened since the events were handled must not be slept through.
    if (this.#events.length > 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#endRest = resolve;
    void this.#clock.sleep(ms).then(resolve);
    await promise;
    this.#endRest = undefined;
  }

  /** Waits for the device, but not where the loop has to end. One promise per wait: a shared one would keep them all. */
  async #waitFor(work: Promise<void>): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#endWait = resolve;
    work.then(resolve, reject);
    await promise;
    this.#endWait = undefined;
  }

  #wake(): void {
    this.#endRest?.();
  }

  #interrupt(): void {
    this.#endRest?.();
    this.#endWait?.();
  }

  #sayWhereWeAre(retryInMs?: number): void {
    if (this.#isPaused) return;
    if (this.#connection.isLive) return this.#say("training");
    if (retryInMs === undefined) return this.#say("connecting");
    const retry = `the next try is in ${(retryInMs / 1000).toFixed(1)} s`;
    if (!this.#conversation.hasJoined) return this.#say("connecting", `The coordinator does not answer; ${retry}.`);
    const meanwhile = this.#conversation.mayStep ? " Training goes on here meanwhile." : "";
    this.#say("reconnecting", `The coordinator is out of reach; ${retry}.${meanwhile}`);
  }

  #say(phase: Phase, detail?: string): void {
    if (phase === this.#phase && detail === undefined) return;
    this.#phase = phase;
    this.#options.onPhase(phase, detail);
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
    const nowMs = this.#clock.nowMs();
    this.#options.onProgress(this.#progress.report({ replica, assignment, bytesUp, bytesDown, transport, nowMs }));
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
