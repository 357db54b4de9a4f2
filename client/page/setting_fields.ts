/** The settings that an operator may change while a run trains: what they are called, what holds now, which solvers have them, what is accepted. */

import { readOperatorRequest, type ChangedSetting, type OperatorChanges } from "../../shared/operator.ts";
import type { HyperparametersView, RunView } from "../../shared/run_view.ts";
import { solverOf } from "../../shared/solver/catalogue.ts";
import { movingRateFor } from "../../shared/solver/rule.ts";
import type { StalenessPolicy } from "../../shared/solver/staleness.ts";
import { figure, whole } from "./format.ts";

/** A way to set it: with a number, or without one. */
interface Way {
  readonly title: string;
  /** What the number means and which are accepted; undefined where there is none. */
  readonly accepted?: string;
  /** What is sent. */
  readonly changes: (value: number) => OperatorChanges;
}

export interface SettingField {
  readonly setting: ChangedSetting;
  readonly label: string;
  /** The first is chosen where there is but one. */
  readonly ways: readonly [Way, ...Way[]];
  /** What holds now. */
  readonly present: (view: Pick<RunView, "hyperparameters" | "replicas">) => string;
  /** Why this solver has no such setting; undefined where it has. */
  readonly whyNot: (solver: RunView["solver"]) => string | undefined;
}

const plain = (accepted: string, changes: Way["changes"]): readonly [Way] => [{ title: "", accepted, changes }];

const onlyElastic = (solver: RunView["solver"]): string | undefined =>
  solverOf(solver).rule === "elastic" ? undefined : `${solver} has no elastic pull.`;

export const SETTING_FIELDS: readonly SettingField[] = [
  {
    setting: "learningRate",
    label: "Learning rate",
    ways: plain("above 0, at most 100", (learningRate) => ({ learningRate })),
    present: ({ hyperparameters }) => figure(hyperparameters.learningRate),
    whyNot: () => undefined,
  },
  {
    setting: "momentum",
    label: "Momentum",
    ways: plain("−0.999 to 0.999", (momentum) => ({ momentum })),
    present: ({ hyperparameters }) => figure(hyperparameters.momentum),
    whyNot: (solver) => (solverOf(solver).momentum === "none" ? `${solver} has no momentum.` : undefined),
  },
  {
    setting: "communicationPeriod",
    label: "Period τ",
    ways: plain("a whole number, 1 to 100,000", (communicationPeriod) => ({ communicationPeriod })),
    present: ({ hyperparameters }) => `${whole(hyperparameters.communicationPeriod)} steps`,
    whyNot: (solver) => (solverOf(solver).rule === "gradient" ? `${solver} exchanges after every step.` : undefined),
  },
  {
    setting: "movingRate",
    label: "Moving rate α",
    ways: [
      { title: "fixed at", accepted: "above 0, at most 1", changes: (movingRate) => ({ movingRate }) },
      { title: "β / replicas", changes: () => ({ movingRate: null }) },
    ],
    present: presentMovingRate,
    whyNot: onlyElastic,
  },
  {
    setting: "elasticRate",
    label: "Elastic rate β",
    ways: plain("above 0, at most 2", (elasticRate) => ({ elasticRate })),
    present: ({ hyperparameters }) => figure(hyperparameters.elasticRate),
    whyNot: onlyElastic,
  },
  {
    setting: "staleness",
    label: "Staleness policy",
    ways: [
      { title: "none", changes: () => ({ staleness: { kind: "none" } }) },
      {
        title: "scale: half the rate at",
        accepted: "versions, above 0",
        changes: (halfRateStaleness) => ({ staleness: { kind: "scale", halfRateStaleness } }),
      },
      {
        title: "bound: refuse beyond",
        accepted: "versions, a whole number from 0",
        changes: (limit) => ({ staleness: { kind: "bound", limit } }),
      },
    ],
    present: ({ hyperparameters }) => policyWords(hyperparameters.staleness),
    whyNot: () => undefined,
  },
];

/** The changes, or a sentence on what is wrong with the number that was typed. */
export function readSetting(
  { label }: Pick<SettingField, "label">,
  way: Way,
  typed: string,
): OperatorChanges | { readonly problem: string } {
  if (way.accepted === undefined) return way.changes(0);
  const text = typed.trim().replace(/^−/, "-");
  const value = text === "" ? Number.NaN : Number(text);
  const changes = way.changes(value);
  if (Number.isFinite(value) && !("problem" in readOperatorRequest({ kind: "retune", changes }))) return changes;
  return { problem: `${label} is ${text === "" ? "empty" : `"${text}"`}; accepted is ${way.accepted}.` };
}

export function policyWords(policy: StalenessPolicy): string {
  switch (policy.kind) {
    case "none":
      return "none";
    case "scale":
      return `half the rate at ${figure(policy.halfRateStaleness)} versions`;
    case "bound":
      return `refused beyond ${whole(policy.limit)} versions`;
    default:
      return policy satisfies never;
  }
}

function presentMovingRate({ hyperparameters, replicas }: Pick<RunView, "hyperparameters" | "replicas">): string {
  const { movingRate, elasticRate }: HyperparametersView = hyperparameters;
  if (movingRate !== null) return figure(movingRate);
  const here = replicas.filter(({ connected }) => connected).length;
  return `β / replicas, now ${figure(movingRateFor(elasticRate, here))}`;
}
