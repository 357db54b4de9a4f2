/**
 * A real run with its center, its ledger and real replicas, whose devices pull towards targets of their own: what the center ends
 * at tells whose pushes it counted. Sockets are queues, and peer connections are what the test hands in.
 */

import type { Clock } from "../../client/replica/clock.ts";
import type { ConnectLink } from "../../client/replica/connection.ts";
import type { OpenPeer } from "../../client/replica/peer_port.ts";
import { Replica, type Ending } from "../../client/replica/replica.ts";
import { Random } from "../../shared/random.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { RunView } from "../../shared/run_view.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";
import { provenLeases } from "./lease_audit.ts";
import { QuadraticProgram } from "./quadratic_program.ts";
import { RunFixture } from "./run_fixture.ts";
import { SocketPair } from "./socket_pair.ts";
import { TINY_LAYOUT, TINY_MODEL, TINY_SETTINGS } from "./tiny_run.ts";

const TICK_MS = 20;
const EXAMPLES = 40;
const DATA = { ...TINY_SETTINGS.data, trainExamples: EXAMPLES, shards: [{ url: "data/0.bin", examples: EXAMPLES }] };

const CLOCK: Clock = {
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

export interface PeerRunOptions {
  readonly settings?: Partial<RunSettings>;
  readonly solver?: Partial<SolverSettings>;
}

export interface JoinOptions {
  /** That the device pulls every parameter towards. */
  readonly target: number;
  readonly openPeer?: OpenPeer;
  readonly allowsPeers?: boolean;
}

export interface Joined {
  readonly replica: Replica;
  readonly ended: Promise<Ending>;
  /** Cuts its socket for good: it is gone. */
  vanish(): void;
}

export class PeerRun {
  readonly fixture: RunFixture;
  readonly settings: RunSettings;
  readonly #ticker: NodeJS.Timeout;
  #joined = 0;

  private constructor(fixture: RunFixture, settings: RunSettings) {
    this.fixture = fixture;
    this.settings = settings;
    this.#ticker = setInterval(() => {
      fixture.nowMs = performance.now();
      fixture.run.tick();
    }, TICK_MS);
  }

  static async create({ settings = {}, solver = {} }: PeerRunOptions): Promise<PeerRun> {
    const asked: Partial<RunSettings> = {
      batch: 4,
      batchParts: 1,
      communicationPeriod: 2,
      learningRate: 0.5,
      peers: true,
      data: DATA,
      ...settings,
    };
    const initial = new Float32Array(TINY_LAYOUT.elements);
    const fixture = await RunFixture.create({ settings: asked, rule: { groups: 1, ...solver }, initial });
    fixture.nowMs = performance.now();
    return new PeerRun(fixture, { ...TINY_SETTINGS, layoutHash: TINY_LAYOUT.hash, ...asked });
  }

  join({ target, openPeer, allowsPeers = true }: JoinOptions): Joined {
    const pairs: SocketPair[] = [];
    let isGone = false;
    const connect: ConnectLink = (events) => {
      const pair = new SocketPair(events);
      pairs.push(pair);
      if (!isGone) setImmediate(() => void this.#carry(pair));
      return pair.near;
    };
    const program = new QuadraticProgram(TINY_MODEL, EXAMPLES, 1, target);
    const replica = new Replica({
      settings: this.settings,
      device: {
        backend: "wasm",
        description: "paper and pencil",
        samplesPerSecond: 1000,
        program,
        lost: new Promise(() => {}),
        stepsPerLook: 1,
        loaded: [{ first: 0, count: EXAMPLES }],
        load: () => {},
      },
      clock: CLOCK,
      random: new Random(++this.#joined),
      connect,
      ...(openPeer ? { openPeer } : {}),
      allowsPeers,
      replaceDevice: () => Promise.reject(new Error("there is no other device")),
      onPhase: () => {},
      onProgress: () => {},
    });
    const vanish = (): void => {
      isGone = true;
      for (const pair of pairs) pair.cut();
    };
    return { replica, ended: replica.run(), vanish };
  }

  get view(): RunView {
    return this.fixture.run.view();
  }

  get averaged(): number {
    return this.view.directRounds?.averaged ?? 0;
  }

  /** Of the center's trained parameters. */
  get center(): number[] {
    return [...this.fixture.center.snapshot().parameters.subarray(0, TINY_LAYOUT.trainableElements)];
  }

  async until(what: string, holds: (view: RunView) => boolean, timeoutMs = 20_000): Promise<void> {
    const untilMs = performance.now() + timeoutMs;
    while (!holds(this.view)) {
      if (performance.now() > untilMs) {
        throw new Error(`${what}: not within ${timeoutMs} ms: ${JSON.stringify(this.view)}`);
      }
      await CLOCK.sleep(10);
    }
  }

  /** Applied lines of the ledger by replica and exchange, more than one of which nothing may have. */
  appliedTwice(): string[] {
    const seen = new Set<string>();
    const twice: string[] = [];
    for (const { replica, exchange, verdict } of this.fixture.ledger) {
      const key = `${replica} ${exchange}`;
      if (verdict === "applied" && seen.has(key)) twice.push(key);
      if (verdict === "applied") seen.add(key);
    }
    return twice;
  }

  async close(): Promise<void> {
    await this.fixture.close();
    clearInterval(this.#ticker);
    if (this.fixture.failures.length > 0) throw new Error("the run failed", { cause: this.fixture.failures });
    provenLeases(EXAMPLES, this.fixture.logged, this.fixture.ledger);
  }

  async #carry(pair: SocketPair): Promise<void> {
    const session = this.fixture.run.connect(pair.far);
    pair.open();
    while (pair.near.isOpen) {
      for (let message = pair.toFar.shift(); message; message = pair.toFar.shift()) session.receive(message);
      if (pair.toNear.length > 0) pair.deliverToNear();
      await CLOCK.breathe();
    }
    session.closed();
  }
}
