/**
 * Volunteers that come, go and are killed at one coordinator that is killed too: all of it real processes, in an order that a seed
 * gives. Afterwards the run's own files are audited: every example of every complete epoch was leased and used exactly once.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Random } from "../../shared/random.ts";
import type { RunView } from "../../shared/run_view.ts";
import { startCoordinator, type CoordinatorProcess } from "./coordinator_process.ts";
import { auditRun, type LeaseAudit } from "./lease_audit.ts";

export interface ChurnOptions {
  readonly seconds: number;
  /** At the same time, most of the time. */
  readonly volunteers: number;
  /** Of the coordinator, spread over the time. */
  readonly coordinatorKills: number;
  /** Mean time between two things that happen to volunteers. */
  readonly everyMs: number;
  readonly seed: number;
  /** Of `drove serve`. */
  readonly args: readonly string[];
  readonly onProgress: (sentence: string) => void;
}

export interface ChurnResult {
  readonly audit: LeaseAudit;
  /** Volunteers that were started, killed without warning, asked to stop, and frozen for a while. */
  readonly started: number;
  readonly killed: number;
  readonly stopped: number;
  readonly frozen: number;
  readonly coordinatorKills: number;
  readonly seconds: number;
  /** Of the last view. */
  readonly replicas: number;
}

const VOLUNTEER = fileURLToPath(new URL("../../client/node/volunteer.ts", import.meta.url));
const NAME = "churn";
/** Longer than a lease at the center: the replica is taken for gone, and comes back. */
const LONG_FREEZE_MS = 40_000;
const SHORT_FREEZE_MS = 3000;
const LONG_FREEZES = 0.2;
/** A volunteer measures its device before it joins. Some are not given the time. */
const JOINING_MS = 8000;
const HASTY = 0.2;

export async function runChurn(options: ChurnOptions): Promise<ChurnResult> {
  const runsFolder = await mkdtemp(join(tmpdir(), "drove-churn-"));
  const args = ["--name", NAME, ...options.args];
  const churn = new Churn(options, args, runsFolder, await startCoordinator({ args, runsFolder }));
  try {
    await churn.run();
    const view = await churn.end();
    return { audit: await auditRun(join(runsFolder, NAME)), ...churn.counts, seconds: options.seconds, ...view };
  } finally {
    await churn.abandon();
    await rm(runsFolder, { recursive: true, force: true });
  }
}

class Churn {
  readonly counts = { started: 0, killed: 0, stopped: 0, frozen: 0, coordinatorKills: 0 };
  readonly #options: ChurnOptions;
  readonly #args: readonly string[];
  readonly #runsFolder: string;
  readonly #random: Random;
  /** With the time at which each was started. */
  readonly #volunteers = new Map<ChildProcess, number>();
  readonly #frozen = new Set<ChildProcess>();
  #coordinator: CoordinatorProcess;

  constructor(options: ChurnOptions, args: readonly string[], runsFolder: string, coordinator: CoordinatorProcess) {
    this.#options = options;
    this.#args = args;
    this.#runsFolder = runsFolder;
    this.#random = new Random(options.seed);
    this.#coordinator = coordinator;
  }

  async run(): Promise<void> {
    const { seconds, coordinatorKills, everyMs, volunteers } = this.#options;
    const beganMs = performance.now();
    const elapsedMs = (): number => performance.now() - beganMs;
    for (let index = 0; index < volunteers; index++) this.#start();
    while (elapsedMs() < 1000 * seconds) {
      await sleep(everyMs * (0.2 + 1.6 * this.#random.uniform()));
      const killsDue = Math.floor((elapsedMs() * (coordinatorKills + 1)) / (1000 * seconds));
      if (killsDue > this.counts.coordinatorKills && this.counts.coordinatorKills < coordinatorKills)
        await this.#killCoordinator();
      else this.#happen();
    }
    // Whatever the dice said, and however slow the machine was.
    const [last] = this.#volunteers.keys();
    if (last) this.#kill(last);
  }

  /** Everybody stops in good order. */
  async end(): Promise<Pick<ChurnResult, "replicas">> {
    const view = await this.#coordinator.view();
    this.#say(view);
    const volunteers = [...this.#volunteers.keys()];
    const ended = volunteers.map((volunteer) => once(volunteer, "exit"));
    for (const volunteer of volunteers) this.#end(volunteer);
    await Promise.race([Promise.all(ended), sleep(20_000)]);
    await this.#coordinator.stop();
    return { replicas: view.replicas.length };
  }

  async abandon(): Promise<void> {
    for (const volunteer of this.#volunteers.keys()) volunteer.kill("SIGKILL");
    await this.#coordinator.kill();
  }

  #happen(): void {
    if (this.#volunteers.size < this.#options.volunteers) return this.#start();
    const victim = this.#victim();
    if (!victim) return;
    const dice = this.#random.uniform();
    if (dice < 0.4) {
      this.#kill(victim);
    } else if (dice < 0.75) {
      this.counts.stopped++;
      this.#end(victim);
    } else {
      this.#freeze(victim);
    }
  }

  #kill(volunteer: ChildProcess): void {
    this.counts.killed++;
    volunteer.kill("SIGKILL");
  }

  /** Whoever is awake, and mostly has had the time to join. */
  #victim(): ChildProcess | undefined {
    const oldMs = performance.now() - (this.#random.uniform() < HASTY ? 0 : JOINING_MS);
    const candidates = [...this.#volunteers].flatMap(([volunteer, beganMs]) =>
      beganMs <= oldMs && !this.#frozen.has(volunteer) ? [volunteer] : [],
    );
    return candidates[this.#random.below(Math.max(1, candidates.length))];
  }

  #start(): void {
    const child = spawn(process.execPath, [VOLUNTEER, this.#coordinator.url, "--backend", "wasm"], {
      stdio: ["pipe", "ignore", "inherit"],
    });
    this.counts.started++;
    this.#volunteers.set(child, performance.now());
    child.once("exit", () => {
      this.#volunteers.delete(child);
      this.#frozen.delete(child);
    });
  }

  #end(volunteer: ChildProcess): void {
    volunteer.kill("SIGCONT");
    volunteer.kill("SIGTERM");
  }

  #freeze(volunteer: ChildProcess): void {
    this.counts.frozen++;
    this.#frozen.add(volunteer);
    volunteer.kill("SIGSTOP");
    const ms = this.#random.uniform() < LONG_FREEZES ? LONG_FREEZE_MS : SHORT_FREEZE_MS;
    setTimeout(() => {
      this.#frozen.delete(volunteer);
      volunteer.kill("SIGCONT");
    }, ms).unref();
  }

  async #killCoordinator(): Promise<void> {
    this.counts.coordinatorKills++;
    this.#say(await this.#coordinator.view());
    const { port } = this.#coordinator;
    await this.#coordinator.kill();
    this.#options.onProgress("the coordinator was killed");
    const args = [...this.#args, "--resume"];
    this.#coordinator = await startCoordinator({ args, runsFolder: this.#runsFolder, port });
  }

  #say({ epoch, samples, applied, replicas }: RunView): void {
    const connected = replicas.filter((replica) => replica.connected).length;
    this.#options.onProgress(
      `epoch ${epoch.epoch}: ${epoch.used} of ${epoch.examples} used, ${epoch.leased} leased | ${samples} samples in ${applied} exchanges | ${connected} of ${replicas.length} replicas connected`,
    );
  }
}
