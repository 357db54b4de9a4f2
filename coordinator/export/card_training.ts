/** The model card's section on how the model was trained: solver, every setting, and what was changed as the run went. */

import type { RunConfig } from "../run_config.ts";
import { count, duration, quoted, table } from "./card_text.ts";
import type { RunFacts } from "./run_facts.ts";
import type { SourceRun } from "./run_source.ts";

/** By their names in the run file. */
const SETTINGS = [
  "solver",
  "exchange",
  "batch",
  "communicationPeriod",
  "learningRate",
  "momentum",
  "weightDecay",
  "optimizer",
  "clipNorm",
  "schedule",
  "warmUp",
  "augmentation",
  "elasticRate",
  "movingRate",
  "staleness",
  "delayCompensation",
  "outerLearningRate",
  "outerMomentum",
  "nesterovDelay",
  "groups",
  "shares",
  "periods",
  "scaledFrom",
  "applier",
  "autotune",
  "codecUp",
  "codecDown",
  "fragments",
  "transport",
  "lossy",
  "peers",
  "seed",
] as const satisfies readonly (keyof RunConfig)[];

/** The tuner decides more often than anybody wants to read. */
const MOST_DECISIONS = 50;

export function trainingSection({ config }: SourceRun, facts: RunFacts): string {
  const rows = SETTINGS.map((setting) => [setting, quoted(inWords(config[setting]))]);
  return [
    "## Training",
    "As the run began; the names are those of Drove's run file, and `communicationPeriod` is tau, `movingRate` alpha (where it is `none`, `elasticRate` divided by the number of replicas).",
    table(["Setting", "Value"], rows),
    changes(facts),
    ...decisions(facts),
  ].join("\n\n");
}

function inWords(value: unknown): string {
  if (value === null) return "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function changes({ changes: made }: RunFacts): string {
  if (made.length === 0) return "Nothing was changed while the run went on.";
  const rows = made.map(({ seconds, samples, setting, from, to, by }) => [
    duration(seconds),
    count(samples),
    setting,
    quoted(from),
    quoted(to),
    by,
  ]);
  return `Changed while the run went on:\n\n${table(["At", "Samples", "Setting", "From", "To", "By"], rows)}`;
}

function decisions({ decisions: made }: RunFacts): string[] {
  if (made.length === 0) return [];
  const rows = made
    .slice(-MOST_DECISIONS)
    .map(({ seconds, phase, groups, momentum, learningRate, reason }) => [
      duration(seconds),
      quoted(phase),
      String(groups),
      String(momentum),
      String(learningRate),
      quoted(reason),
    ]);
  const which = made.length > MOST_DECISIONS ? `The last ${MOST_DECISIONS} of ${made.length} decisions` : "Decisions";
  return [
    `${which} of the autotuner:\n\n${table(["At", "Phase", "Groups", "Momentum", "Learning rate", "Why"], rows)}`,
  ];
}
