/**
 * Replicas that push, are cut off, come back, retry and leave as they like, while the run changes its groups and goes back to
 * earlier centers: whatever happens, no exchange is lost or counted twice, and the center is what the ledger says. A failure
 * prints its seed; threads make the order of events differ between two runs of one seed.
 */

import { expect, test } from "vitest";
import type { LedgerEntry } from "../../coordinator/store/ledger.ts";
import { Random } from "../../shared/random.ts";
import type { SolverName } from "../../shared/solver/catalogue.ts";
import { frameBytes, pushHeader, RunFixture, vectorOf, type Peer } from "../support/run_fixture.ts";
import { TINY_LAYOUT } from "../support/tiny_run.ts";

const REPLICAS = 5;
const EXCHANGES = 25;
const LEARNING_RATE = 0.5;
/** Of the hand-moved clock, each turn of the event loop or so. */
const TURN_MS = 40;

interface Identity {
  readonly replica: string;
  readonly token: string;
  readonly incarnation: number;
}

class FuzzReplica {
  readonly #fixture: RunFixture;
  readonly #random: Random;
  /** What was pushed, by replica and exchange. */
  readonly #made: Map<string, Float32Array>;
  #identity: Identity | undefined = undefined;
  #peer: Peer | undefined = undefined;
  #baseVersion = 0;
  #lastExchange = 0;
  #inFlight: { readonly exchange: number; readonly bytes: Uint8Array } | undefined = undefined;
  readonly answers = new Map<string, Uint8Array>();
  /** Settled exchanges that it has seen: applied, or refused by name. */
  readonly seen = new Map<string, string>();

  constructor(fixture: RunFixture, random: Random, made: Map<string, Float32Array>) {
    this.#fixture = fixture;
    this.#random = random;
    this.#made = made;
  }

  async takePart(): Promise<void> {
    for (let exchange = 0; exchange < EXCHANGES; exchange++) {
      if (!this.#peer || this.#peer.closed) await this.#connect();
      this.#push();
      const choice = this.#random.below(100);
      if (choice < 12) this.#peer?.cut();
      else await this.#settle();
      if (choice > 95 && this.#peer) {
        this.#peer.send("leave", {});
        this.#inFlight = undefined;
        this.#peer = undefined;
      }
      for (let turn = this.#random.below(4); turn > 0; turn--) await breathe();
    }
    if (this.#inFlight) {
      if (!this.#peer || this.#peer.closed) await this.#connect();
      this.#push();
      await this.#settle();
    }
    if (this.#peer?.closed === undefined) this.#peer?.send("leave", {});
  }

  async #connect(): Promise<void> {
    const { peer, welcome } = await this.#fixture.join(this.#identity, 1 + this.#random.below(50));
    const { replica, token, incarnation, resumed, version, lastExchange } = welcome.header;
    this.#peer = peer;
    this.#identity = { replica, token, incarnation };
    this.#lastExchange = Math.max(this.#lastExchange, lastExchange);
    if (resumed) return;
    this.#inFlight = undefined;
    this.#baseVersion = version;
  }

  /** A new gradient, or the one in flight again. */
  #push(): void {
    if (!this.#inFlight) {
      const exchange = ++this.#lastExchange;
      const gradient = Float32Array.from({ length: TINY_LAYOUT.elements }, () => 0.1 * this.#random.normal());
      const header = pushHeader({
        exchange,
        baseVersion: this.#baseVersion,
        content: "gradient",
        samples: 1,
        steps: 1,
      });
      this.#made.set(`${this.#identity?.replica}/${exchange}`, gradient);
      this.#inFlight = { exchange, bytes: frameBytes("push", header, gradient) };
    }
    this.#peer?.sendBytes(this.#inFlight.bytes);
  }

  async #settle(): Promise<void> {
    const peer = this.#peer;
    const message = await peer?.receiveAny().catch(() => undefined);
    // Its lease ended while it did nothing.
    if (!message || !this.#inFlight) return;
    const key = `${this.#identity?.replica}/${this.#inFlight.exchange}`;
    if (message.kind !== "answer" && message.kind !== "refusal") throw new Error(`unexpected ${message.kind}`);
    if (message.kind === "refusal") {
      if (message.header.exchange === undefined) return;
      expect(["RESTARTED", "TOO_STALE"]).toContain(message.header.code);
    }
    expect(message.header.exchange).toBe(this.#inFlight.exchange);
    this.seen.set(key, message.kind === "answer" ? "applied" : message.header.code);
    this.#baseVersion = message.header.version;
    expect(vectorOf(message)).toHaveLength(TINY_LAYOUT.elements);
    this.#inFlight = undefined;
  }
}

function breathe(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** The center after every applied round, in double precision; a version without an entry is a center that was restored. */
function replayed(
  start: Float32Array,
  ledger: readonly LedgerEntry[],
  made: Map<string, Float32Array>,
  restored: Float32Array[],
  versions: number,
): number[] {
  let center = Array.from(start);
  const left = [...restored];
  for (let version = 1; version <= versions; version++) {
    const round = ledger.filter((entry) => entry.verdict === "applied" && entry.version === version);
    if (round.length === 0) {
      const state = left.shift();
      expect(state, `version ${version} is nobody's`).toBeDefined();
      center = Array.from(state ?? []);
      continue;
    }
    const gradients = round.map(({ replica, exchange }) => made.get(`${replica}/${exchange}`)!);
    center = center.map(
      (c, at) => c - (LEARNING_RATE * gradients.reduce((sum, g) => sum + g[at]!, 0)) / gradients.length,
    );
  }
  expect(left).toHaveLength(0);
  return center;
}

async function runScenario(seed: number, solver: SolverName, isRetuned: boolean): Promise<void> {
  const random = new Random(seed);
  const ledger: LedgerEntry[] = [];
  const fixture = await RunFixture.create({
    settings: { solver },
    rule: { learningRate: LEARNING_RATE, momentum: 0, shares: "equal" },
    applier: "locked",
    ledger,
  });
  const start = fixture.center.snapshot().parameters;
  const made = new Map<string, Float32Array>();
  const replicas = Array.from(
    { length: REPLICAS },
    (_, at) => new FuzzReplica(fixture, new Random(seed * 97 + at), made),
  );
  const end = { isReached: false };
  const ended = Promise.all(replicas.map((replica) => replica.takePart())).finally(() => (end.isReached = true));
  const kept = [fixture.run.snapshot()];
  const restored: Float32Array[] = [];
  let settledBefore = 0;
  for (let turn = 1; !end.isReached; turn++) {
    await breathe();
    fixture.nowMs += TURN_MS;
    fixture.run.tick();
    // On a busy machine there are many turns between two exchanges: nothing would be applied between two restarts.
    if (turn % 7 !== 0 || ledger.length < settledBefore + 2) continue;
    settledBefore = ledger.length;
    const choice = random.below(100);
    if (isRetuned && choice < 25) fixture.run.retune({ groups: [null, 1, 2, 3][random.below(4)] ?? null });
    else if (choice < 35) kept.push(fixture.run.snapshot());
    else if (choice < 45) {
      const state = kept[random.below(kept.length)]!;
      restored.push(state.parameters);
      await fixture.run.restart(state);
    }
  }
  await ended;
  await fixture.run.settled();
  expect(fixture.failures).toEqual([]);
  const { parameters, version } = fixture.center.snapshot();
  const applied = ledger.filter(({ verdict }) => verdict === "applied");
  // Nothing twice, and every version is a round's or a restored center's.
  expect(new Set(ledger.map(({ replica, exchange }) => `${replica}/${exchange}`)).size).toBe(ledger.length);
  expect(new Set(applied.map((entry) => entry.version)).size + restored.length).toBe(version);
  // What replicas saw is what the ledger says.
  for (const replica of replicas) {
    for (const [key, verdict] of replica.seen) {
      expect(ledger.find((entry) => `${entry.replica}/${entry.exchange}` === key)?.verdict, key).toBe(verdict);
    }
  }
  expect(applied.length).toBeGreaterThan(EXCHANGES);
  const wanted = replayed(start, ledger, made, restored, version);
  parameters.forEach((value, at) => expect(Math.abs(value - wanted[at]!)).toBeLessThan(1e-4));
  await fixture.close();
}

const SEEDS = Array.from({ length: 6 }, (_, index) => 2000 + index);

test.each(SEEDS)("[G7] [X12] [X16] compute groups that change, seed %i", async (seed) => {
  await runScenario(seed, "async-msgd", true);
});

test.each(SEEDS.slice(0, 3))("[X15] [X16] a barrier, seed %i", async (seed) => {
  await runScenario(seed, "sync-sgd", false);
});
