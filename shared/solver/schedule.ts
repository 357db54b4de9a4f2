/**
 * Learning-rate schedules as data and one pure function of the run's step.
 *
 * The clock is the run's, not the replica's: steps = versions of the center times local steps per exchange, that is all local
 * steps that the center has learned from, whoever took them (SPEC S6). A replica that joins late therefore begins where the run
 * stands and not with a warm-up of its own, a run that is resumed goes on where it was, and all replicas have the same
 * rate however different their speeds are. Between two answers of the coordinator the clock stands, as it does while the
 * coordinator is out of reach: what is trained then has not reached the run.
 */

export type Decay =
  | { readonly kind: "constant" }
  /** base * factor^floor(step / every). */
  | { readonly kind: "step"; readonly every: number; readonly factor: number }
  /** Caffe's: base * (1 + gamma * step)^-power. */
  | { readonly kind: "inv"; readonly gamma: number; readonly power: number }
  /** From base down to floor * base over `steps`, along half a cosine, and floor * base from then on. */
  | { readonly kind: "cosine"; readonly steps: number; readonly floor: number };

export interface Schedule {
  readonly decay: Decay;
  /** Before the decay, whose steps count from its end: linear from base / warmUpSteps to base. */
  readonly warmUpSteps: number;
}

export const CONSTANT_RATE: Schedule = { decay: { kind: "constant" }, warmUpSteps: 0 };

/** The learning rate of the local step that follows `step` others of the run. */
export function learningRateAt({ decay, warmUpSteps }: Schedule, base: number, step: number): number {
  if (step < warmUpSteps) return (base * (step + 1)) / warmUpSteps;
  return base * shareAt(decay, step - warmUpSteps);
}

function shareAt(decay: Decay, step: number): number {
  switch (decay.kind) {
    case "constant":
      return 1;
    case "step":
      return decay.factor ** Math.floor(step / decay.every);
    case "inv":
      return (1 + decay.gamma * step) ** -decay.power;
    case "cosine": {
      const done = Math.min(1, step / decay.steps);
      return decay.floor + (1 - decay.floor) * 0.5 * (1 + Math.cos(Math.PI * done));
    }
    default:
      return decay satisfies never;
  }
}

/**
 * Local steps between two exchanges of a replica: where each carries one of `fragments` in turn (SPEC X17), every parameter is
 * exchanged about once in `communicationPeriod` steps.
 */
export function stepsPerExchange(communicationPeriod: number, fragments = 1): number {
  return Math.ceil(communicationPeriod / fragments);
}

/** The run's steps when its center has `version`. Under a gradient rule a version is one step. */
export function runSteps(version: number, communicationPeriod: number, fragments = 1): number {
  return version * stepsPerExchange(communicationPeriod, fragments);
}
