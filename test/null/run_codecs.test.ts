/**
 * Codecs, fragments and the stream of published versions in a real coordinator over real sockets (SPEC H8, C, X17, X18): center, answers and
 * replicas are where the equations, in double precision, put what was decoded.
 */

import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { layoutOf } from "../../shared/model/layout.ts";
import type { ModelDescription } from "../../shared/model/model.ts";
import { Random } from "../../shared/random.ts";
import { SOLVERS, type SolverName } from "../../shared/solver/catalogue.ts";
import type { CenterMove } from "../../shared/solver/center_rule.ts";
import { replicaRuleOf } from "../../shared/solver/replica_rule.ts";
import { CODEC_NAMES, encodedBytes, fragmentOf } from "../../shared/wire/codec/codec.ts";
import { readFromCoordinator, type FromCoordinator, type Header } from "../../shared/wire/messages.ts";
import { plainVectors, type VectorWire } from "../../shared/wire/vectors.ts";
import { ReferenceCenter } from "../reference/center.ts";
import { CodecReplica, type MadePush } from "../support/codec_replica.ts";
import { frameBytes, helloHeader, RunFixture, type FixtureOptions, type Received } from "../support/run_fixture.ts";
import { serveFixture, type ServedFixture } from "../support/served_fixture.ts";

/** 640 weights and 10 biases in 704 elements: five and a half blocks. */
const MODEL: ModelDescription = {
  name: "small",
  input: { height: 8, width: 8, channels: 1 },
  classes: 10,
  layers: [{ kind: "dense", name: "fc", units: 10 }],
};
const LAYOUT = layoutOf(MODEL);
const ALPHA = 0.25;
const LEARNING_RATE = 0.1;

class Run {
  readonly #served: ServedFixture;
  readonly sockets: WebSocket[] = [];

  constructor(served: ServedFixture) {
    this.#served = served;
  }

  static async create(options: FixtureOptions): Promise<Run> {
    const fixture = await RunFixture.create({
      layout: LAYOUT,
      applier: "locked",
      ...options,
      rule: { movingRate: ALPHA, learningRate: LEARNING_RATE, ...options.rule },
    });
    return new Run(await serveFixture(fixture));
  }

  get fixture(): RunFixture {
    return this.#served.fixture;
  }

  get url(): string {
    return this.#served.url;
  }

  get center(): Float32Array {
    return this.fixture.center.snapshot().parameters;
  }

  async join(hello: Partial<Header<"hello">> = { codecs: CODEC_NAMES }): Promise<Far> {
    const far = await Far.connect(this, hello);
    await far.welcomed();
    return far;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    await this.#served.close();
    expect(this.fixture.failures).toEqual([]);
  }
}

/** A replica at the far end of a socket. */
class Far {
  readonly socket: WebSocket;
  readonly replica: CodecReplica;
  #vectors: VectorWire;
  readonly #inbox: Buffer[] = [];
  #wake: () => void = () => {};

  constructor(socket: WebSocket, replica: CodecReplica) {
    this.socket = socket;
    this.replica = replica;
    this.#vectors = { ...plainVectors(replica.elements), fragments: replica.fragments };
    socket.on("message", (data) => {
      this.#inbox.push(data as Buffer);
      this.#wake();
    });
  }

  static async connect(run: Run, hello: Partial<Header<"hello">>, replica?: CodecReplica): Promise<Far> {
    const { settings, elements } = run.fixture.run;
    const { content } = replicaRuleOf(settings.solver, settings.exchange);
    const socket = new WebSocket(`${run.url.replace("http", "ws")}/ws`);
    run.sockets.push(socket);
    await once(socket, "open");
    const far = new Far(socket, replica ?? new CodecReplica(elements, content, settings.fragments));
    const resume = replica?.identity ? { resume: replica.identity } : {};
    socket.send(frameBytes("hello", { ...helloHeader(), layoutHash: LAYOUT.hash, ...resume, ...hello }));
    return far;
  }

  async welcomed(held?: Float32Array): Promise<Received<"welcome">> {
    const welcome = await this.receive("welcome");
    this.replica.welcomed(welcome, held);
    this.#vectors = { ...this.#vectors, codecs: this.replica.codecs };
    return welcome;
  }

  send({ header, payload }: Pick<MadePush, "header" | "payload">): void {
    this.socket.send(frameBytes("push", header, payload));
  }

  /** Raw, as it came. */
  async receiveBytes(): Promise<Uint8Array> {
    while (this.#inbox.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return new Uint8Array(this.#inbox.shift()!);
  }

  async receive<K extends FromCoordinator["kind"]>(kind: K): Promise<Received<K>> {
    const message = readFromCoordinator(await this.receiveBytes(), this.#vectors);
    if ("refusal" in message) throw new Error(`a replica refuses it: ${message.refusal}`);
    if (message.kind !== kind) throw new Error(`expected ${kind}, got ${JSON.stringify(message.header)}`);
    return message as Received<K>;
  }

  async exchange(gradient?: Float32Array): Promise<Received<"answer">> {
    this.send(this.replica.push(gradient));
    return this.answered();
  }

  async answered(): Promise<Received<"answer">> {
    const answer = await this.receive("answer");
    this.replica.answered(answer);
    return answer;
  }
}

let open: Run[] = [];

afterEach(async () => {
  for (const run of open.splice(0)) await run.close();
  open = [];
});

async function runOf(options: FixtureOptions): Promise<Run> {
  const run = await Run.create(options);
  open.push(run);
  return run;
}

function noise(random: Random, size = 0.1): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: LAYOUT.elements }, () => size * random.normal());
}

function wander({ replica }: Far, random: Random): void {
  const steps = noise(random);
  replica.parameters = replica.parameters.map((x, at) => x + steps[at]!);
}

function expectClose(found: ArrayLike<number>, wanted: ArrayLike<number>, what: string, slack = 4e-6): void {
  for (let at = 0; at < wanted.length; at++) {
    const apart = Math.abs(Number(found[at]) - Number(wanted[at]));
    if (!(apart < slack)) expect.fail(`${what}, element ${at}: ${found[at]} instead of ${wanted[at]}`);
  }
}

/** What the coordinator holds as the published version that a replica says it holds. */
function publishedAt(run: Run, version: number): Float32Array {
  const published = run.fixture.center.versions.at(version);
  if (!published) throw new Error(`version ${version} is not kept`);
  return new Float32Array(published.values().slice().buffer);
}

const GRADIENT = {
  kind: "gradient",
  learningRate: LEARNING_RATE,
  weightDecay: 0,
  delayCompensation: 0,
  momentum: 0,
} as const;
const MOVES = {
  "ea-wild": { kind: "elastic", movingRate: ALPHA },
  "sync-easgd": { kind: "elastic-sum", movingRate: ALPHA },
  "async-sgd": { ...GRADIENT, isLayerwise: false },
  downpour: { kind: "update", rate: 1 },
  diloco: { kind: "nesterov", learningRate: 0.7, momentum: 0.9 },
} as const satisfies Partial<Record<SolverName, CenterMove>>;
type TestedSolver = keyof typeof MOVES;

const REPLICAS = 3;
const SWEEPS = 3;

describe.each(Object.keys(MOVES) as TestedSolver[])("%s", (solver) => {
  const isBarrier = SOLVERS[solver].order === "barrier";
  const { takesGradients } = replicaRuleOf(solver, "one-round-trip");
  const move = MOVES[solver];
  const pull = move.kind === "elastic" || move.kind === "elastic-sum" ? ALPHA : 1;

  test.each(CODEC_NAMES)(
    "[C2] [C4] [X18] %s both ways: center, answers and replicas are where the equation puts what was decoded",
    async (codec) => {
      const settings = { solver, codecUp: codec, codecDown: codec };
      const run = await runOf({ settings, rule: { momentum: 0 } });
      const random = new Random(5);
      const fars: Far[] = [];
      while (fars.length < REPLICAS) fars.push(await run.join());
      for (const { replica } of fars) expect(replica.codecs).toEqual({ up: codec, down: codec });
      const reference = new ReferenceCenter(LAYOUT, run.center);
      for (let sweep = 0; sweep < SWEEPS; sweep++) {
        for (const together of isBarrier ? [fars] : fars.map((far) => [far])) {
          const made = together.map((far) => {
            if (takesGradients) return far.replica.push(noise(random));
            wander(far, random);
            return far.replica.push();
          });
          const before = together.map(({ replica }) => replica.parameters.slice());
          const sent = together.map(({ replica }) => replica.sent.slice());
          together.forEach((far, at) => far.send(made[at]!));
          const vector = mean(made.map(({ meant }) => meant));
          const wanted = reference.apply(move, { vector, staleness: 0, base: vector, count: made.length });
          const answers = await Promise.all(together.map((far) => far.answered()));
          expectClose(run.center, reference.center, "center");
          for (const [at, { header, payload }] of answers.entries()) {
            const { replica } = together[at]!;
            expect(header.pull).toBeCloseTo(pull, 12);
            if (codec === "f32") {
              expectClose(replica.base, wanted, "answer");
            } else {
              // Bit for bit: the next push is decoded against it.
              expect(replica.base).toEqual(publishedAt(run, header.version));
              expect(payload.byteLength).toBe(encodedBytes(codec, LAYOUT.elements) * (header.deltas ?? 0));
              expect(header.deltas).toBe(1);
            }
            const after = replica.base.map((y, k) =>
              takesGradients ? y : before[at]![k]! - pull * (sent[at]![k]! - y),
            );
            expectClose(replica.parameters, after, "replica");
          }
        }
      }
      expect(run.fixture.center.version).toBe(isBarrier ? SWEEPS : SWEEPS * REPLICAS);
      expect(run.fixture.ledger.filter(({ verdict }) => verdict === "applied")).toHaveLength(SWEEPS * REPLICAS);
      // One publication for each round, however many are answered.
      if (codec !== "f32")
        expect(run.fixture.center.versions.newest?.version).toBe(isBarrier ? SWEEPS : SWEEPS * REPLICAS - 2);
    },
  );
});

function mean(vectors: readonly Float32Array[]): Float64Array {
  return Float64Array.from({ length: LAYOUT.elements }, (_, at) =>
    vectors.reduce((sum, vector) => sum + vector[at]! / vectors.length, 0),
  );
}

describe("Negotiation", () => {
  const settings = { codecUp: "int4", codecDown: "int8" } as const;

  test("[H8] The run's codecs are used where the replica has them, else f32, each way for itself", async () => {
    const run = await runOf({ settings });
    const cases = [
      [CODEC_NAMES, { up: "int4", down: "int8" }],
      [["f32", "int8"], { up: "f32", down: "int8" }],
      [["int4"], { up: "int4", down: "f32" }],
      [[], { up: "f32", down: "f32" }],
    ] as const;
    for (const [codecs, agreed] of cases) {
      const far = await Far.connect(run, { codecs });
      expect((await far.welcomed()).header.codecs).toEqual(agreed);
      wander(far, new Random(1));
      await far.exchange();
    }
    const silent = await Far.connect(run, {});
    expect((await silent.welcomed()).header.codecs).toEqual({ up: "f32", down: "f32" });
    expect(run.fixture.run.view()).toMatchObject({ codecs: { up: "int4", down: "int8" }, fragments: 1, lossRate: 0 });
    expect(
      run.fixture.run.view().replicas.map(({ codecUp, codecDown, transport }) => [codecUp, codecDown, transport]),
    ).toEqual([
      ["int4", "int8", "websocket"],
      ["f32", "int8", "websocket"],
      ["int4", "f32", "websocket"],
      ["f32", "f32", "websocket"],
      ["f32", "f32", "websocket"],
    ]);
  });

  test("[H8] [H5] Who comes back has the codecs as before, and goes on; who has them no longer gets others, and the center", async () => {
    const run = await runOf({ settings });
    const far = await run.join();
    wander(far, new Random(1));
    await far.exchange();
    far.socket.terminate();
    const again = await Far.connect(run, { codecs: CODEC_NAMES }, far.replica);
    expect((await again.welcomed()).header).toMatchObject({ resumed: true, codecs: { up: "int4", down: "int8" } });
    wander(again, new Random(2));
    await again.exchange();
    again.socket.terminate();
    const poorer = await Far.connect(run, {}, far.replica);
    const welcome = await poorer.welcomed();
    expect(welcome.header).toMatchObject({ resumed: false, codecs: { up: "f32", down: "f32" } });
    expect(welcome.payload).toHaveLength(4 * LAYOUT.elements);
    wander(poorer, new Random(3));
    await poorer.exchange();
    expect(run.fixture.run.view().replicas).toHaveLength(1);
  });

  test("[F5] A payload in another codec than the agreed one is refused by its length", async () => {
    const run = await runOf({ settings });
    const far = await run.join();
    const { header } = far.replica.push();
    far.send({ header, payload: new Uint8Array(4 * LAYOUT.elements) });
    expect((await far.receive("refusal")).header.code).toBe("WRONG_PAYLOAD");
  });

  test("[L3] [C5] A NaN in any codec is refused, and the replica restarts from the center", async () => {
    for (const codecUp of CODEC_NAMES) {
      const run = await runOf({ settings: { ...settings, codecUp } });
      const far = await run.join();
      far.replica.parameters[200] = NaN;
      const before = run.center;
      far.send(far.replica.push());
      const refusal = await far.receive("refusal");
      expect(refusal.header).toMatchObject({ code: "NOT_FINITE", recovery: "restart", exchange: 1 });
      far.replica.refused(refusal);
      expect(run.center).toEqual(before);
      wander(far, new Random(1));
      expect((await far.exchange()).header.version).toBeGreaterThan(0);
    }
  });
});

describe("Fragments", () => {
  test.each(["f32", "int8"] as const)(
    "[X17] Three in turn, %s: each exchange moves its range alone, and bases and versions are kept by fragment",
    async (codec) => {
      const run = await runOf({ settings: { fragments: 3, codecUp: codec, codecDown: codec } });
      const [a, b] = [await run.join(), await run.join()];
      const random = new Random(8);
      for (let turn = 0; turn < 7; turn++) {
        for (const far of [a, b]) {
          wander(far, random);
          const before = run.center;
          const made = far.replica.push();
          const { fromElement, toElement } = fragmentOf(LAYOUT.elements, 3, turn % 3);
          far.send(made);
          const answer = await far.answered();
          expect(answer.header.fragment).toBe(turn % 3);
          expect(made.payload).toHaveLength(encodedBytes(codec, toElement - fromElement));
          const wanted = before.map((c, k) =>
            k < fromElement || k >= toElement ? c : c + ALPHA * (made.meant[k]! - c),
          );
          expectClose(run.center, wanted, "center");
          expect([...run.center.subarray(0, fromElement)]).toEqual([...before.subarray(0, fromElement)]);
          expect([...run.center.subarray(toElement)]).toEqual([...before.subarray(toElement)]);
          if (codec === "f32") {
            expectClose(
              far.replica.base.subarray(fromElement, toElement),
              before.subarray(fromElement, toElement),
              "answer",
            );
          } else {
            const held = publishedAt(run, answer.header.version).subarray(fromElement, toElement);
            expect([...far.replica.base.subarray(fromElement, toElement)]).toEqual([...held]);
          }
        }
      }
      expect(new Set(a.replica.versions).size).toBeGreaterThan(1);
    },
  );

  test("[X17] [X13] The base version is that of the push's fragment; a fragment that there is not ends the connection", async () => {
    const run = await runOf({ settings: { fragments: 3 } });
    const far = await run.join();
    await far.exchange();
    const { header, payload } = far.replica.push();
    far.send({ header: { ...header, baseVersion: far.replica.versions[0]! }, payload });
    const refusal = await far.receive("refusal");
    expect(refusal.header.code).toBe("UNKNOWN_BASE");
    far.replica.refused(refusal);
    expect(new Set(far.replica.versions).size).toBe(1);
    await far.exchange();
    far.send({ header: { ...header, fragment: 3 }, payload });
    expect((await far.receive("refusal")).header.code).toBe("BAD_HEADER");
  });

  test("[S6] [X17] An assignment is the share of the period until the next push, and the schedule counts it", async () => {
    const schedule = { kind: "step", every: 10, factor: 0.5 } as const;
    const run = await runOf({ settings: { fragments: 3 }, rule: { fragments: 3, communicationPeriod: 10, schedule } });
    const far = await run.join();
    expect(far.replica.assignment).toMatchObject({ communicationPeriod: 4, learningRate: LEARNING_RATE });
    for (let version = 1; version <= 3; version++) await far.exchange();
    // Twelve local steps.
    expect(far.replica.assignment?.learningRate).toBeCloseTo(LEARNING_RATE / 2, 12);
  });
});

describe("The stream", () => {
  const settings = { codecUp: "int8", codecDown: "int4" } as const;

  test("[X18] Who is behind by several versions gets all changes; by so many that values are shorter, values", async () => {
    const run = await runOf({ settings });
    const [fast, slow] = [await run.join(), await run.join()];
    const random = new Random(2);
    const catchUp = async (rounds: number): Promise<Received<"answer">> => {
      for (let round = 0; round < rounds; round++) {
        wander(fast, random);
        await fast.exchange();
      }
      wander(slow, random);
      const answer = await slow.exchange();
      expect(slow.replica.base).toEqual(publishedAt(run, answer.header.version));
      return answer;
    };
    expect((await catchUp(3)).header).toMatchObject({ deltas: 3 });
    const whole = await catchUp(12);
    expect(whole.header.deltas).toBeUndefined();
    expect(whole.payload).toHaveLength(4 * LAYOUT.elements);
  });

  test("[X13] [X18] A replica whose version was dropped is refused UNKNOWN_BASE with values, and goes on from there", async () => {
    const run = await runOf({ settings, keep: 2 });
    const random = new Random(3);
    const slow = await run.join();
    const fast = await run.join();
    for (let round = 0; round < 3; round++) {
      wander(fast, random);
      await fast.exchange();
    }
    wander(slow, random);
    const mine = slow.replica.parameters.slice();
    slow.send(slow.replica.push());
    const refusal = await slow.receive("refusal");
    expect(refusal.header).toMatchObject({ code: "UNKNOWN_BASE", recovery: "rebase", exchange: 1 });
    slow.replica.refused(refusal);
    expect(slow.replica.parameters).toEqual(mine);
    expect(slow.replica.base).toEqual(publishedAt(run, refusal.header.version));
    const answer = await slow.exchange();
    expect(slow.replica.base).toEqual(publishedAt(run, answer.header.version));
  });

  test("[X12] [X18] A retry gets the same answer again, byte for byte but for `repeated`, over another connection too", async () => {
    const run = await runOf({ settings });
    const random = new Random(4);
    const [far, other] = [await run.join(), await run.join()];
    wander(far, random);
    const made = far.replica.push();
    far.send(made);
    const first = await far.receive("answer");
    for (let round = 0; round < 3; round++) {
      wander(other, random);
      await other.exchange();
    }
    const version = run.fixture.center.version;
    far.send(made);
    const second = await far.receive("answer");
    expect(second.header).toEqual({ ...first.header, repeated: true });
    expect(second.payload).toEqual(first.payload);
    far.socket.terminate();
    const again = await Far.connect(run, { codecs: CODEC_NAMES }, far.replica);
    expect((await again.welcomed()).header.resumed).toBe(true);
    again.send(made);
    const third = await again.answered();
    expect(third.payload).toEqual(first.payload);
    expect(run.fixture.center.version).toBe(version);
    expect(again.replica.base).toEqual(publishedAt(run, third.header.version));
  });

  test("[X12] [X18] A retry whose changes are kept no longer gets values of the same version", async () => {
    const run = await runOf({ settings, keep: 3 });
    const random = new Random(4);
    const [far, other] = [await run.join(), await run.join()];
    wander(far, random);
    const made = far.replica.push();
    far.send(made);
    const first = await far.receive("answer");
    for (let round = 0; round < 6; round++) {
      wander(other, random);
      await other.exchange();
    }
    far.send(made);
    const second = await far.answered();
    expect(second.header).toMatchObject({ version: first.header.version, repeated: true });
    expect(second.header.deltas).toBeUndefined();
    expect(far.replica.base).toEqual(publishedAt(run, second.header.version));
    expect(run.fixture.run.view().repeated).toBe(1);
  });

  test.each([
    ["ea-wild", "UNKNOWN_BASE", "rebase"],
    ["downpour", "TOO_STALE", "restart"],
  ] as const)(
    "[X12] [X18] %s: a retry whose answer is kept no longer is refused %s with the center, and counts once",
    async (solver, code, recovery) => {
      const run = await runOf({ settings: { ...settings, solver }, keep: 2 });
      const random = new Random(4);
      const [far, other] = [await run.join(), await run.join()];
      wander(far, random);
      const made = far.replica.push();
      far.send(made);
      await far.receive("answer");
      for (let round = 0; round < 4; round++) {
        wander(other, random);
        await other.exchange();
      }
      const version = run.fixture.center.version;
      far.send(made);
      const refusal = await far.receive("refusal");
      expect(refusal.header).toMatchObject({ code, recovery, exchange: 1 });
      far.replica.refused(refusal);
      expect(run.fixture.center.version).toBe(version);
      wander(far, random);
      await far.exchange();
      expect(
        run.fixture.ledger.filter(
          ({ replica, verdict }) => replica === far.replica.identity?.replica && verdict === "applied",
        ),
      ).toHaveLength(2);
    },
  );

  test("[X18] [G2] Members of a compute group are answered with one version, whatever other groups do meanwhile", async () => {
    const run = await runOf({ settings: { ...settings, solver: "async-sgd" }, rule: { groups: 2, momentum: 0 } });
    const random = new Random(6);
    const fars = [await run.join(), await run.join(), await run.join(), await run.join()];
    const groups = new Map<number, Far[]>();
    for (const [at, { group }] of run.fixture.run.view().replicas.entries()) {
      groups.set(group ?? -1, [...(groups.get(group ?? -1) ?? []), fars[at]!]);
    }
    expect([...groups.values()].map(({ length }) => length)).toEqual([2, 2]);
    for (let round = 0; round < 6; round++) {
      const rounds = [...groups.values()].map(async (members) => {
        for (const far of members) far.send(far.replica.push(noise(random)));
        const answers = await Promise.all(members.map((far) => far.answered()));
        expect(new Set(answers.map(({ header }) => header.version)).size).toBe(1);
      });
      await Promise.all(rounds);
      for (const { replica } of fars) expect(replica.base).toEqual(publishedAt(run, replica.versions[0]!));
    }
    expect(run.fixture.center.version).toBe(12);
  });

  test("[X18] Restored by the autotuner, the stream begins anew: nobody adds changes across it", async () => {
    const run = await runOf({ settings });
    const random = new Random(7);
    const far = await run.join();
    const start = run.fixture.run.snapshot();
    for (let round = 0; round < 3; round++) {
      wander(far, random);
      await far.exchange();
    }
    await run.fixture.run.restart(start);
    far.send(far.replica.push());
    const refusal = await far.receive("refusal");
    expect(refusal.header.code).toBe("RESTARTED");
    far.replica.refused(refusal);
    expect(far.replica.base).toEqual(start.parameters);
    wander(far, random);
    const answer = await far.exchange();
    expect(far.replica.base).toEqual(publishedAt(run, answer.header.version));
  });

  test("[X10] [X18] Two round trips: a pull brings the changes, the difference moves the center", async () => {
    const run = await runOf({ settings: { codecDown: "int8", solver: "async-easgd", exchange: "two-round-trip" } });
    const random = new Random(9);
    const far = await run.join();
    for (let round = 0; round < 3; round++) {
      far.socket.send(frameBytes("pull", {}));
      const center = await far.receive("center");
      far.replica.pulled(center);
      if (round > 0) expect(center.header.deltas).toBe(1);
      expect(far.replica.base).toEqual(publishedAt(run, center.header.version));
      const before = run.center;
      const difference = noise(random, 0.01);
      const { header } = far.replica.push();
      far.send({ header, payload: new Uint8Array(difference.buffer) });
      const answer = await far.receive("answer");
      expect(answer.payload).toHaveLength(0);
      expectClose(
        run.center,
        before.map((c, k) => c + difference[k]!),
        "center",
      );
      expect(answer.header.version).toBe(far.replica.versions[0]);
    }
  });
});
