/**
 * Real replicas on the real WASM engine with a real run and center, all in one Node process: only the sockets between
 * them are queues, which a test may cut.
 */

import type { ReplicaProgress } from "../../client/messages.ts";
import type { Clock } from "../../client/replica/clock.ts";
import type { ConnectLink } from "../../client/replica/connection.ts";
import { Replica, type Ending, type ReplicaOptions } from "../../client/replica/replica.ts";
import { Center } from "../../coordinator/center/center.ts";
import { Run } from "../../coordinator/run.ts";
import type { LedgerEntry } from "../../coordinator/store/ledger.ts";
import { streamOptionsFor } from "../../coordinator/stream.ts";
import type { Program } from "../../shared/engine/backend.ts";
import { planOf } from "../../shared/engine/run_plan.ts";
import { createWasmBackend } from "../../shared/engine/wasm/wasm_backend.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { initialParameters, layoutOf } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";
import type { LoggedEvent } from "../../shared/run_log.ts";
import { LIMITS } from "../../shared/wire/codes.ts";
import { provenLeases } from "./lease_audit.ts";
import { mnistExamples } from "./mnist_examples.ts";
import { solverSettings } from "./run_fixture.ts";
import { TINY_SETTINGS } from "./tiny_run.ts";
import { SocketPair } from "./socket_pair.ts";
import { WASM_MODULES } from "./wasm_modules.ts";

const TRAIN_EXAMPLES = 4000;
const SHARD_EXAMPLES = 1000;
const TEST_EXAMPLES = 1000;
const BATCH = 50;

const NODE_CLOCK: Clock = {
  nowMs: () => performance.now(),
  sleep: (ms) =>
    new Promise((resolve) => {
      setTimeout(resolve, ms);
    }),
  breathe: () =>
    new Promise((resolve) => {
      setImmediate(resolve);
    }),
};

export class LiveRun {
  readonly settings: RunSettings;
  readonly run: Run;
  readonly center: Center;
  readonly ledger: LedgerEntry[] = [];
  readonly logged: LoggedEvent[] = [];
  readonly #failures: unknown[] = [];
  readonly #pairs = new Set<SocketPair>();
  readonly #referee: Program;

  private constructor(settings: RunSettings, solver: Partial<SolverSettings>, center: Center, referee: Program) {
    this.settings = settings;
    this.center = center;
    this.#referee = referee;
    this.run = new Run({
      settings,
      layout: layoutOf(settings.model),
      center,
      solver: solverSettings(settings, { movingRate: null, ...solver }),
      ledger: {
        append: (entry) => {
          this.ledger.push(entry);
          return Promise.resolve();
        },
      },
      incarnation: 1,
      secret: new Uint8Array(32).fill(1),
      nowMs: () => performance.now(),
      nowIso: () => new Date().toISOString(),
      log: (event) => this.logged.push(event),
      onFailure: (error) => this.#failures.push(error),
    });
  }

  static async create(changes: Partial<RunSettings>, solver: Partial<SolverSettings> = {}): Promise<LiveRun> {
    const model = changes.model ?? MODELS.mlp;
    const layout = layoutOf(model);
    const center = await Center.create({
      layout,
      initial: initialParameters(layout, 5),
      version: 0,
      applier: "lock-free",
      threads: 2,
      maxMagnitude: LIMITS.parameterMagnitude,
      stream: streamOptionsFor(changes.codecDown ?? "f32", layout.elements),
    });
    const settings: RunSettings = {
      ...TINY_SETTINGS,
      data: {
        ...TINY_SETTINGS.data,
        trainExamples: TRAIN_EXAMPLES,
        normalisation: { mean: [0.1307], deviation: [0.3081] },
        shards: Array.from({ length: TRAIN_EXAMPLES / SHARD_EXAMPLES }, (_, index) => ({
          url: `data/${index}.bin`,
          examples: SHARD_EXAMPLES,
        })),
      },
      model: { ...model, layers: [...model.layers] },
      layoutHash: layout.hash,
      batch: BATCH,
      communicationPeriod: 5,
      learningRate: 0.05,
      ...changes,
    };
    return new LiveRun(settings, solver, center, await program(settings));
  }

  /** A replica that takes part until it is stopped or the run ends; over queues unless it has a way of its own. */
  async join(
    seed: number,
    way: Pick<ReplicaOptions, "connect" | "openPeer"> = { connect: this.#connect },
  ): Promise<{ readonly replica: Replica; readonly ended: Promise<Ending>; progress: () => ReplicaProgress }> {
    let newest: ReplicaProgress | undefined;
    const device = {
      backend: "wasm",
      description: "WASM in a test",
      samplesPerSecond: 1000,
      program: await program(this.settings),
      lost: new Promise<string>(() => {}),
      stepsPerLook: 1,
      loaded: [{ first: 0, count: TRAIN_EXAMPLES }],
      load: () => {},
    } as const;
    const replica = new Replica({
      settings: this.settings,
      device,
      clock: NODE_CLOCK,
      random: new Random(seed),
      ...way,
      replaceDevice: () => Promise.reject(new Error("there is no other device")),
      onPhase: () => {},
      onProgress: (progress) => (newest = progress),
    });
    return { replica, ended: replica.run(), progress: () => newest! };
  }

  /** Breaks every connection; what was on its way is lost. */
  cut(): void {
    for (const pair of this.#pairs) pair.cut();
  }

  async until(version: number): Promise<void> {
    while (this.run.version < version) await NODE_CLOCK.sleep(5);
  }

  /** Of the center, on examples that no replica has seen. */
  async accuracy(): Promise<number> {
    this.#referee.writeParameters(this.center.snapshot().parameters);
    let correct = 0;
    for (let first = 0; first < TEST_EXAMPLES; first += BATCH) {
      const batch = Uint32Array.from({ length: BATCH }, (_, index) => TRAIN_EXAMPLES + first + index);
      correct += (await this.#referee.evaluate(batch)).correct;
    }
    return correct / TEST_EXAMPLES;
  }

  readonly #connect: ConnectLink = (events) => {
    const pair = new SocketPair({
      ...events,
      closed: (code, reason) => {
        this.#pairs.delete(pair);
        events.closed(code, reason);
      },
    });
    this.#pairs.add(pair);
    setImmediate(() => {
      const session = this.run.connect(pair.far);
      pair.open();
      void this.#carry(pair, (bytes) => session.receive(bytes)).then(() => session.closed());
    });
    return pair.near;
  };

  async #carry(pair: SocketPair, receive: (bytes: Uint8Array) => void): Promise<void> {
    while (pair.near.isOpen) {
      const message = pair.toFar.shift();
      if (message) receive(message);
      if (pair.toNear.length > 0) pair.deliverToNear();
      await NODE_CLOCK.breathe();
    }
  }

  async close(): Promise<void> {
    this.run.finish("stopped", "The test is over.");
    await this.run.settled();
    await this.center.close();
    if (this.#failures.length > 0) throw new Error("the run failed", { cause: this.#failures });
    provenLeases(TRAIN_EXAMPLES, this.logged, this.ledger);
  }
}

/** Of the run's plan, with all examples; the last ones are for tests. */
export async function program(settings: RunSettings): Promise<Program> {
  const backend = await createWasmBackend(WASM_MODULES);
  const compiled = await backend.compile(planOf(settings, TRAIN_EXAMPLES + TEST_EXAMPLES));
  const { images, labels } = mnistExamples(TRAIN_EXAMPLES + TEST_EXAMPLES);
  compiled.loadExamples(0, images, labels);
  return compiled;
}
