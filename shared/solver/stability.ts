/**
 * Whether a solver's numbers are stable, found before a run starts: the solver is played on a quadratic loss of one dimension,
 * h x^2 / 2, with the same replica and center rules as in a run, and the growth of what it does is measured. Everything is
 * linear there, so the growth per sweep (one exchange of every replica) is the spectral radius of the whole system.
 *
 * Replicas are equally fast and exchange in turn: the staleness of p replicas is p - 1. As in a run, an exchange follows the local
 * steps. For one replica that gives alpha <= (4 - 2 eta h) / (4 - 3 eta h), a little more than the EASGD paper's
 * (4 - 2 eta h) / (4 - eta h), where step and pull both begin at the same x. Gradient descent with a fixed delay d comes out at
 * eta h <= 2 sin(pi / (4 d + 2)), and DiLoCo at (2 + 2 beta) / (1 + 2 beta).
 *
 * A bound at the greatest curvature of the loss is necessary, not sufficient: curvature grows as training goes on.
 */

import { solverOf } from "./catalogue.ts";
import { centerMoveOf, pullOf, type CenterMove } from "./center_rule.ts";
import { replicaRuleOf } from "./replica_rule.ts";
import { movingRateFor } from "./rule.ts";
import type { SolverSettings } from "./settings.ts";

/** Of the settings, what may be lowered to make a run stable. */
type Knob = "movingRate" | "elasticRate" | "communicationPeriod" | "learningRate" | "outerLearningRate";

export interface Instability {
  readonly knob: Knob;
  readonly value: number;
  /** The largest value of this knob alone that is stable, to three digits. */
  readonly bound: number;
  /** The curvature at which the present value is not. */
  readonly curvature: number;
}

const SWEEPS_BEFORE = 200;
const SWEEPS = 400;
/** Of the logarithm per sweep: above what a conserved quantity and rounding show. */
const GROWTH_ALLOWED = 0.005;
const KNOBS = ["movingRate", "elasticRate", "communicationPeriod", "learningRate", "outerLearningRate"] as const;
/** Between 0 and the greatest curvature, as shares of it: a system may be unstable in the middle alone. */
const CURVATURE_SHARES = [1, 0.75, 0.5, 0.3, 0.1, 0.03] as const;

/**
 * What alone would have to be lower, and to what, for a run of `replicas` replicas on a loss whose greatest curvature is
 * `greatestCurvature`: empty where everything is stable. With curvature 0 only what holds for every loss is judged.
 */
export function instabilitiesOf(
  settings: SolverSettings,
  replicas: number,
  greatestCurvature: number,
): readonly Instability[] {
  const curvatures = [0, ...CURVATURE_SHARES.map((share) => share * greatestCurvature)];
  const unstable = curvatures.find((curvature) => !isStable(settings, replicas, curvature));
  if (unstable === undefined) return [];
  return KNOBS.filter((knob) => isInPlay(settings, knob)).flatMap((knob) => {
    const value = settings[knob];
    const bound = largestStable(settings, replicas, curvatures, knob);
    return value === null || bound === undefined ? [] : [{ knob, value, bound, curvature: unstable }];
  });
}

export function isStable(settings: SolverSettings, replicas: number, curvature: number): boolean {
  return growthPerSweep(settings, replicas, curvature) <= GROWTH_ALLOWED;
}

/** Natural logarithm of the factor by which a sweep lengthens the state, in the long run. 0: something is conserved. */
function growthPerSweep(settings: SolverSettings, replicas: number, curvature: number): number {
  const system = new LinearSystem(settings, replicas, curvature);
  for (let sweep = 0; sweep < SWEEPS_BEFORE; sweep++) {
    system.sweep();
    if (system.normalise() === 0) return -Infinity;
  }
  let growth = 0;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    system.sweep();
    const length = system.normalise();
    if (length === 0) return -Infinity;
    growth += Math.log(length);
  }
  return growth / SWEEPS;
}

/** Whether changing this knob changes the run at all. */
function isInPlay(settings: SolverSettings, knob: Knob): boolean {
  const { rule } = solverOf(settings.solver);
  switch (knob) {
    case "movingRate":
      return rule === "elastic" && settings.movingRate !== null;
    case "elasticRate":
      return rule === "elastic" && settings.movingRate === null;
    case "communicationPeriod":
      return rule !== "gradient";
    case "learningRate":
      return true;
    case "outerLearningRate":
      return rule === "pseudo-gradient";
    default:
      return knob satisfies never;
  }
}

/** The largest stable value below the present one, by halving the interval; undefined where not even 1/4096 of it is. */
function largestStable(
  settings: SolverSettings,
  replicas: number,
  curvatures: readonly number[],
  knob: Knob,
): number | undefined {
  const present = settings[knob];
  if (present === null) return undefined;
  const isWhole = knob === "communicationPeriod";
  const holds = (value: number): boolean => {
    const changed: SolverSettings = { ...settings, [knob]: value };
    return curvatures.every((curvature) => isStable(changed, replicas, curvature));
  };
  let low = isWhole ? 1 : present / 4096;
  let high = present;
  if (!holds(low)) return undefined;
  while (isWhole ? high - low > 1 : high / low > 1.002) {
    const middle = isWhole ? Math.floor((low + high) / 2) : Math.sqrt(low * high);
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return isWhole ? low : threeDigitsBelow(low);
}

function threeDigitsBelow(value: number): number {
  const unit = 10 ** (Math.floor(Math.log10(value)) - 2);
  return Number((Math.floor(value / unit) * unit).toPrecision(3));
}

/** One replica: its parameter, its velocity, and the center that it was last answered with. */
interface Replica {
  x: number;
  velocity: number;
  base: number;
}

class LinearSystem {
  readonly #settings: SolverSettings;
  readonly #curvature: number;
  readonly #move: CenterMove;
  readonly #replicas: Replica[];
  /** Of tau local steps on (x, velocity), row by row. */
  readonly #localSteps: readonly [number, number, number, number];
  #center = 1;
  #velocity = 0;
  /** Of the delayed Nesterov step. */
  #sum = 0;
  #arrivals = 0;

  constructor(settings: SolverSettings, replicas: number, curvature: number) {
    // A group is one replica to the center, and moves it by its mean.
    const members = settings.groups ?? Math.max(1, replicas);
    this.#settings = settings;
    this.#curvature = curvature;
    this.#move = centerMoveOf(
      { ...settings, schedule: { kind: "constant" }, warmUp: 0 },
      { version: 0, replicas: members },
      settings.groups !== null,
    );
    // Starting apart, so that no direction of the system is missed.
    this.#replicas = Array.from({ length: members }, (_, index) => ({
      x: Math.cos(1 + 2.3 * index),
      velocity: 0,
      base: 1,
    }));
    this.#localSteps = localStepsOf(settings, curvature);
  }

  /** One exchange of every replica. */
  sweep(): void {
    const { solver, exchange } = this.#settings;
    const { isTwoRoundTrip } = replicaRuleOf(solver, exchange);
    for (const replica of this.#replicas) this.#train(replica);
    // At worst all have pulled the same center before anybody pushes.
    if (solverOf(solver).order === "barrier" || isTwoRoundTrip) this.#exchangeTogether();
    else for (const replica of this.#replicas) this.#exchange(replica);
  }

  /** Divides the state by its length, and returns that. */
  normalise(): number {
    const state = this.#replicas.flatMap(({ x, velocity, base }) => [x, velocity, base]);
    const length = Math.hypot(this.#center, this.#velocity, this.#sum, ...state);
    if (length === 0) return 0;
    this.#center /= length;
    this.#velocity /= length;
    this.#sum /= length;
    for (const replica of this.#replicas) {
      replica.x /= length;
      replica.velocity /= length;
      replica.base /= length;
    }
    return length;
  }

  #train(replica: Replica): void {
    const [xx, xv, vx, vv] = this.#localSteps;
    const { x, velocity } = replica;
    replica.x = xx * x + xv * velocity;
    replica.velocity = vx * x + vv * velocity;
  }

  #exchange(replica: Replica): void {
    const before = this.#center;
    this.#apply(this.#pushed(replica));
    this.#answer(replica, before);
  }

  #exchangeTogether(): void {
    const before = this.#center;
    const pushed = this.#replicas.map((replica) => this.#pushed(replica));
    const sum = pushed.reduce((total, value) => total + value, 0);
    const isSummed = this.#move.kind === "elastic-sum" || this.#move.kind === "difference";
    this.#apply(isSummed ? sum : sum / pushed.length);
    for (const replica of this.#replicas) this.#answer(replica, before);
  }

  /** What the move works on: a difference to the center, a gradient, or an update. */
  #pushed({ x, base }: Replica): number {
    switch (this.#move.kind) {
      case "elastic":
      case "elastic-mean":
      case "elastic-sum":
        return x - this.#center;
      case "difference":
        return this.#alpha * (x - this.#center);
      case "gradient":
        return this.#curvature * base;
      case "update":
      case "nesterov":
      case "delayed-nesterov":
        return x - base;
      default:
        return this.#move satisfies never;
    }
  }

  /** Where the replica computes the difference. */
  get #alpha(): number {
    const { movingRate, elasticRate } = this.#settings;
    return movingRate ?? movingRateFor(elasticRate, this.#replicas.length);
  }

  #apply(pushed: number): void {
    const move = this.#move;
    switch (move.kind) {
      case "elastic":
      case "elastic-mean":
      case "elastic-sum":
        this.#center += move.movingRate * pushed;
        break;
      case "difference":
      case "update":
        this.#center += move.rate * pushed;
        break;
      case "gradient": {
        const gradient = pushed + move.weightDecay * this.#center;
        this.#velocity = move.momentum * this.#velocity - move.learningRate * gradient;
        this.#center += this.#velocity;
        break;
      }
      case "nesterov":
        this.#velocity = move.momentum * this.#velocity - pushed;
        this.#center -= move.learningRate * (move.momentum * this.#velocity - pushed);
        break;
      case "delayed-nesterov":
        this.#delayed(move, -pushed / move.delay);
        break;
      default:
        move satisfies never;
    }
  }

  #delayed(move: Extract<CenterMove, { kind: "delayed-nesterov" }>, part: number): void {
    this.#sum += part;
    this.#arrivals++;
    if (this.#arrivals % move.delay !== 0) {
      this.#center -= move.learningRate * part;
      return;
    }
    this.#velocity = move.momentum * this.#velocity + this.#sum;
    this.#center -= move.learningRate * (part + move.momentum * this.#velocity);
    this.#sum = 0;
  }

  #answer(replica: Replica, before: number): void {
    const move = this.#move;
    if (move.kind === "difference") {
      replica.x -= this.#alpha * (replica.x - before);
    } else if (move.kind === "elastic" || move.kind === "elastic-sum") {
      replica.x -= pullOf(move) * (replica.x - before);
      replica.base = before;
    } else if (move.kind === "elastic-mean") {
      replica.x -= move.movingRate * (replica.x - before);
      replica.base = replica.x;
    } else {
      replica.x = this.#center;
      replica.base = this.#center;
    }
  }
}

/**
 * tau steps of the replica's optimizer (engine/optimizer.ts) on h x^2 / 2 as one matrix. Steps whose length does not follow the gradient's
 * (lars, adamw) have no such matrix: they stand still here, and only the exchange is judged.
 */
function localStepsOf(settings: SolverSettings, curvature: number): readonly [number, number, number, number] {
  const { solver, exchange, optimizer, learningRate, weightDecay, communicationPeriod } = settings;
  const rule = replicaRuleOf(solver, exchange);
  const kind = rule.optimizer ?? optimizer;
  if (rule.takesGradients || kind === "lars" || kind === "adamw") return [1, 0, 0, 1];
  const momentum = rule.hasMomentum ? settings.momentum : 0;
  const step = learningRate * (curvature + weightDecay);
  const ahead = kind === "nesterov" ? momentum : 0;
  // v' = momentum v - step x ; x' = x + (ahead v' - step x | v').
  const one: Matrix =
    kind === "nesterov"
      ? [1 - step - ahead * step, ahead * momentum, -step, momentum]
      : [1 - step, momentum, -step, momentum];
  return power(one, communicationPeriod);
}

type Matrix = readonly [number, number, number, number];

function power(matrix: Matrix, exponent: number): Matrix {
  let result: Matrix = [1, 0, 0, 1];
  let square = matrix;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = product(result, square);
    square = product(square, square);
  }
  return result;
}

function product([a, b, c, d]: Matrix, [e, f, g, h]: Matrix): Matrix {
  return [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h];
}
