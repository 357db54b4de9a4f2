/**
 * Settings that are each possible and together not: every one refused with a sentence that names the field, what was found,
 * and the way out. `run_config.ts` asks once all fields are read.
 */

import { solverOf, type Solver } from "../shared/solver/catalogue.ts";
import { ConfigError, shown } from "./config_error.ts";
import type { RunConfig } from "./run_config.ts";
import { FIELDS, type FieldName } from "./run_fields.ts";

export interface ConfigToCheck {
  readonly config: RunConfig;
  /** Where, in words. */
  readonly sourceOf: (field: FieldName) => string;
}

/** A field that does not go with the rest, and why. */
interface Contradiction {
  readonly field: FieldName;
  readonly isSo: boolean;
  /** Follows "<field> is <value>, but ". */
  readonly why: string;
}

export function refuseContradictions(check: ConfigToCheck): void {
  const rule = solverOf(check.config.solver);
  const found = [
    ...ofMomentum(check.config, rule),
    ...ofGradients(check.config, rule),
    ...ofTheSolver(check.config, rule),
    ...ofGroups(check.config, rule),
    ...ofTheWire(check.config, rule),
  ].find(({ isSo }) => isSo);
  if (!found) return;
  const { field, why } = found;
  throw new ConfigError(`${check.sourceOf(field)} is ${shown(check.config[field])}, but ${why}`);
}

function ofMomentum({ solver, momentum, optimizer }: RunConfig, rule: Solver): Contradiction[] {
  return [
    {
      field: "momentum",
      isSo: rule.momentum === "none" && momentum !== 0,
      why: `the solver ${solver} has no momentum; leave it out, or use ${rule.rule === "gradient" ? "async-msgd" : "async-measgd"}.`,
    },
    {
      field: "optimizer",
      isSo: rule.momentum === "replica-nesterov" && optimizer !== "nesterov",
      why: `the solver ${solver} is defined with Nesterov's momentum; leave it out, or use async-measgd.`,
    },
    {
      field: "optimizer",
      isSo: optimizer === "nesterov" && momentum === 0,
      why: "the momentum is 0; set --momentum, with a solver that has one, or leave it out.",
    },
    {
      field: "momentum",
      isSo: optimizer === "adamw" && momentum < 0,
      why: "adamw takes the mean of gradients with it; accepted is 0 to 0.999.",
    },
  ];
}

/** The center takes the step there, by its own rule. */
function ofGradients(config: RunConfig, rule: Solver): Contradiction[] {
  if (rule.rule !== "gradient") {
    return [
      {
        field: "delayCompensation",
        isSo: config.delayCompensation !== 0,
        why: `the solver ${config.solver} pushes no gradients; leave it out, or choose a gradient solver such as async-sgd.`,
      },
    ];
  }
  const { solver, optimizer, clipNorm, communicationPeriod, periods } = config;
  const steps = `with the solver ${solver} the center takes the steps, by momentum or lars; leave it out, or choose an elastic solver.`;
  return [
    {
      field: "communicationPeriod",
      isSo: communicationPeriod !== 1,
      why: `the solver ${solver} pushes every gradient; accepted is 1.`,
    },
    { field: "periods", isSo: periods === "speed", why: `the solver ${solver} pushes every gradient; leave it out.` },
    { field: "optimizer", isSo: optimizer !== "momentum" && optimizer !== "lars", why: steps },
    { field: "clipNorm", isSo: clipNorm !== null, why: steps },
  ];
}

function ofTheSolver(config: RunConfig, { rule, order }: Solver): Contradiction[] {
  const { solver, exchange, autotune, scaledFrom, groups, volunteers } = config;
  const isSet = (field: "outerLearningRate" | "outerMomentum"): boolean => config[field] !== FIELDS[field].initial;
  const isTwoRoundTrip = exchange === "two-round-trip";
  const isOuter = rule === "pseudo-gradient";
  const ownOptimizer = `with the solver ${solver} the center has no optimizer over whole periods; leave it out, or use diloco or async-diloco.`;
  return [
    {
      field: "exchange",
      isSo: isTwoRoundTrip && rule !== "elastic",
      why: `only elastic solvers have that, and ${solver} is none; leave it out.`,
    },
    {
      field: "exchange",
      isSo: isTwoRoundTrip && order === "barrier",
      why: `the solver ${solver} moves the center by all replicas at once; leave it out.`,
    },
    { field: "outerLearningRate", isSo: isSet("outerLearningRate") && !isOuter, why: ownOptimizer },
    { field: "outerMomentum", isSo: isSet("outerMomentum") && !isOuter, why: ownOptimizer },
    {
      field: "nesterovDelay",
      isSo: config.nesterovDelay !== null && !(isOuter && order !== "barrier"),
      why: "only async-diloco delays the center's momentum; leave it out.",
    },
    {
      field: "autotune",
      isSo: autotune && solver !== "async-msgd",
      why: `Omnivore's optimizer sets groups and the center's momentum, and ${solver} does not have both; use --solver async-msgd.`,
    },
    {
      field: "scaledFrom",
      isSo: scaledFrom !== null && rule === "gradient" && order === "barrier" && groups === null && volunteers === 0,
      why: `the step of ${solver} has a batch of every replica, and nobody said how many there will be; add --groups 1, so that all share one batch, or --volunteers.`,
    },
  ];
}

function ofGroups(config: RunConfig, { order }: Solver): Contradiction[] {
  const { solver, groups, exchange, autotune } = config;
  const isGrouped = groups !== null;
  return [
    {
      field: "groups",
      isSo: isGrouped && order === "round-robin",
      why: `the solver ${solver} takes one replica after the other; leave it out, or use async-easgd.`,
    },
    {
      field: "groups",
      isSo: isGrouped && exchange === "two-round-trip",
      why: "in a two-round-trip exchange every replica moves the center by itself; leave one of them out.",
    },
    {
      field: "groups",
      isSo: isGrouped && groups > 1 && order === "barrier",
      why: `the solver ${solver} waits for everybody, which is 1 group; accepted is 1.`,
    },
    {
      field: "shares",
      isSo: config.shares !== FIELDS.shares.initial && !isGrouped && !autotune,
      why: "only compute groups share their work; add --groups, or leave it out.",
    },
  ];
}

function ofTheWire(config: RunConfig, { rule, order }: Solver): Contradiction[] {
  const { solver, groups, codecUp, codecDown, fragments, transport, exchange } = config;
  const isGrouped = groups !== null;
  const isDirect = order !== "barrier" && order !== "round-robin" && !isGrouped;
  const isTwoRoundTrip = exchange === "two-round-trip";
  return [
    {
      field: "codecDown",
      isSo: codecDown !== "f32" && isGrouped && rule === "elastic" && order !== "barrier",
      why: "an elastic compute group is answered with its own mean, not with the center; leave one of --groups and --codec-down out.",
    },
    {
      field: "codecUp",
      isSo: codecUp !== "f32" && isTwoRoundTrip,
      why: "a replica that has moved by a difference has to send all of it; leave it out, or use one round trip.",
    },
    {
      field: "fragments",
      isSo: fragments > 1 && (rule === "gradient" || rule === "pseudo-gradient" || !isDirect || isTwoRoundTrip),
      why: `only ea-wild, async-easgd, async-measgd, eamsgd and downpour, each replica by itself and with one round trip, exchange a part at a time; leave it out.`,
    },
    {
      field: "lossy",
      isSo: config.lossy && (transport === "websocket" || !isDirect || isTwoRoundTrip || fragments > 1),
      why:
        transport === "websocket"
          ? "a WebSocket loses nothing; add --transport webrtc, or leave it out."
          : `it needs replicas that exchange by themselves, everything in one round trip, and ${solver} with these settings does not; leave it out.`,
    },
    {
      field: "peers",
      isSo: config.peers && !isGrouped,
      why: "only members of compute groups average among themselves; add --groups, or leave it out.",
    },
  ];
}
