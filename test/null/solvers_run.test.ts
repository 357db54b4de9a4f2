/**
 * Every solver of the catalogue in a real coordinator, over real sockets: three replicas push what a script says, and the
 * center, the answers and the replicas are where the paper's equation, in double precision, puts them.
 */

import { afterEach, describe, expect, test } from "vitest";
import { layoutOf } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";
import { SOLVER_NAMES, SOLVERS, type SolverName } from "../../shared/solver/catalogue.ts";
import type { CenterMove } from "../../shared/solver/center_rule.ts";
import { replicaRuleOf } from "../../shared/solver/replica_rule.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";
import { ReferenceCenter } from "../reference/center.ts";
import { TINY_MODEL } from "../support/tiny_run.ts";
import { SocketRun, type ScriptedReplica } from "../support/socket_run.ts";

const REPLICAS = 3;
const SWEEPS = 4;
const LEARNING_RATE = 0.1;
const MOMENTUM = 0.6;
/** beta / p. */
const ALPHA = 0.3;
const LAYOUT = layoutOf(TINY_MODEL);

/** By the papers' equations, and not by the code's table. */
const GRADIENT = {
  kind: "gradient",
  learningRate: LEARNING_RATE,
  weightDecay: 0,
  delayCompensation: 0,
  isLayerwise: false,
} as const;
const MOVES: Record<SolverName, CenterMove> = {
  "sync-sgd": { ...GRADIENT, momentum: MOMENTUM },
  "async-sgd": { ...GRADIENT, momentum: 0 },
  "async-msgd": { ...GRADIENT, momentum: MOMENTUM },
  "hogwild-sgd": { ...GRADIENT, momentum: 0 },
  downpour: { kind: "update", rate: 1 },
  "original-easgd": { kind: "elastic", movingRate: ALPHA },
  "sync-easgd": { kind: "elastic-sum", movingRate: ALPHA },
  "async-easgd": { kind: "elastic", movingRate: ALPHA },
  "async-measgd": { kind: "elastic", movingRate: ALPHA },
  eamsgd: { kind: "elastic", movingRate: ALPHA },
  "ea-wild": { kind: "elastic", movingRate: ALPHA },
  diloco: { kind: "nesterov", learningRate: 0.7, momentum: 0.9 },
  "async-diloco": { kind: "delayed-nesterov", learningRate: 0.7, momentum: 0.9, delay: REPLICAS },
};

let open: SocketRun[] = [];

afterEach(async () => {
  for (const run of open.splice(0)) await run.close();
  open = [];
});

async function runOf(solver: SolverName, changes: Partial<SolverSettings> = {}): Promise<SocketRun> {
  const momentum = SOLVERS[solver].momentum === "none" ? 0 : MOMENTUM;
  const run = await SocketRun.create({
    settings: { solver },
    rule: { learningRate: LEARNING_RATE, momentum, movingRate: null, ...changes },
    applier: SOLVERS[solver].order === "lock-free" ? "lock-free" : "locked",
  });
  open.push(run);
  return run;
}

/** One after the other: their order is that of the round robin. */
async function joined(run: SocketRun, count: number): Promise<ScriptedReplica[]> {
  const replicas: ScriptedReplica[] = [];
  while (replicas.length < count) replicas.push(await run.join());
  return replicas;
}

/** A replica's local steps, or a gradient: anything, but the same for the reference. */
function noise(random: Random): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: LAYOUT.elements }, () => 0.1 * random.normal());
}

function expectClose(found: ArrayLike<number>, wanted: ArrayLike<number>, what: string): void {
  for (let at = 0; at < wanted.length; at++) {
    expect(Math.abs(Number(found[at]) - Number(wanted[at])), `${what}, element ${at}`).toBeLessThan(2e-6);
  }
}

describe.each(SOLVER_NAMES)("%s", (solver) => {
  const rule = replicaRuleOf(solver, "one-round-trip");
  const isBarrier = SOLVERS[solver].order === "barrier";
  const move = MOVES[solver];

  test("[X3] [X4] [X15] center, answers and replicas are where the equation puts them, in double precision", async () => {
    const run = await runOf(solver);
    const replicas = await joined(run, REPLICAS);
    const random = new Random(11);
    const reference = new ReferenceCenter(LAYOUT, run.fixture.center.snapshot().parameters);
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      const turns = isBarrier ? [replicas] : replicas.map((replica) => [replica]);
      for (const together of turns) {
        const pushed = together.map((replica) => worked(replica, noise(random)));
        const meanVector = mean(pushed.map(({ vector }) => vector));
        const wanted = reference.apply(move, {
          vector: meanVector,
          staleness: 0,
          base: meanVector,
          count: pushed.length,
        });
        const answers = await Promise.all(together.map((replica) => replica.answered(rule.content)));
        expectClose(run.fixture.center.snapshot().parameters, reference.center, "center");
        for (const [at, answer] of answers.entries()) {
          const replica = together[at]!;
          const isElastic = move.kind === "elastic" || move.kind === "elastic-sum";
          expect(answer.header.pull).toBe(isElastic ? ALPHA : 1);
          expectClose(replica.base, wanted, "answer");
          const x = pushed[at]!.parameters;
          const after = x.map((value, k) =>
            rule.takesGradients ? wanted[k]! : value - (isElastic ? ALPHA : 1) * (value - wanted[k]!),
          );
          expectClose(replica.parameters, after, "replica");
        }
      }
    }
    const versions = isBarrier ? SWEEPS : SWEEPS * REPLICAS;
    expect(run.fixture.center.version).toBe(versions);
    expect(run.fixture.ledger.filter(({ verdict }) => verdict === "applied")).toHaveLength(SWEEPS * REPLICAS);
  });

  test("[S6] What a replica is assigned is the solver's: period, samples, learning rate, momentum, moving rate", async () => {
    const run = await runOf(solver, { communicationPeriod: rule.takesGradients ? 1 : 10 });
    const [replica] = await joined(run, 1);
    expect(replica?.assignment).toEqual({
      communicationPeriod: rule.takesGradients ? 1 : 10,
      samples: 1,
      learningRate: LEARNING_RATE,
      momentum: rule.hasMomentum ? MOMENTUM : 0,
      movingRate: 0.5,
    });
  });

  /** Pushes; returns the vector that reaches the center, and the parameters behind it. */
  function worked(
    replica: ScriptedReplica,
    steps: Float32Array<ArrayBuffer>,
  ): { readonly vector: Float64Array; readonly parameters: Float64Array } {
    if (rule.takesGradients) {
      replica.push("gradient", steps);
      return { vector: Float64Array.from(steps), parameters: Float64Array.from(replica.parameters) };
    }
    replica.parameters = replica.parameters.map((x, at) => x + steps[at]!);
    replica.push(rule.content);
    const parameters = Float64Array.from(replica.parameters);
    const vector = rule.content === "update" ? parameters.map((x, at) => x - replica.base[at]!) : parameters;
    return { vector, parameters };
  }
});

function mean(vectors: readonly Float64Array[]): Float64Array {
  return Float64Array.from({ length: LAYOUT.elements }, (_, at) =>
    vectors.reduce((sum, vector) => sum + vector[at]! / vectors.length, 0),
  );
}

test("[X10] two round trips: the replica computes the difference with the moving rate that it was assigned", async () => {
  const run = await SocketRun.create({
    settings: { solver: "async-easgd", exchange: "two-round-trip" },
    rule: { movingRate: null },
    applier: "locked",
  });
  open.push(run);
  const [replica] = await joined(run, 2);
  await replica!.pull();
  expect(replica!.assignment.movingRate).toBe(0.5);
  const difference = noise(new Random(3));
  const before = run.fixture.center.snapshot().parameters;
  replica!.push("difference", difference);
  expect((await replica!.answered("difference")).payload).toHaveLength(0);
  expectClose(
    run.fixture.center.snapshot().parameters,
    before.map((c, at) => c + difference[at]!),
    "center",
  );
});
