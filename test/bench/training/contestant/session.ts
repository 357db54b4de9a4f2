/**
 * One contestant, wherever it runs: opens its WebSocket to the conductor, prepares an engine, and does the steps that it is
 * asked for, timing each call with a wait for the device at its end. Errors become sentences.
 */

import {
  CONTESTANTS,
  type Contestant,
  type ContestantName,
  type FromContestant,
  type Job,
  type JobData,
  type Prepare,
  type ToContestant,
} from "../job.ts";

const PREPARE: Record<(typeof CONTESTANTS)[ContestantName]["engine"], () => Promise<Prepare>> = {
  drove: async () => (await import("./drove.ts")).prepareDrove,
  tfjs: async () => (await import("./tfjs.ts")).prepareTfjs,
  jax: async () => (await import("./jax.ts")).prepareJax,
  convnetjs: async () => (await import("./convnet.ts")).prepareConvNet,
};

/** Serves one conductor until the socket closes. `base` is the http address of its server. */
export function serveConductor(base: URL, id: string): Promise<void> {
  const address = new URL(`/contestant?id=${id}`, base);
  address.protocol = "ws:";
  const socket = new WebSocket(address);
  const session = new Session(base);
  return new Promise((resolve) => {
    socket.addEventListener("message", ({ data }: MessageEvent<string>) => {
      void answer(session, JSON.parse(data) as ToContestant).then((reply) => socket.send(JSON.stringify(reply)));
    });
    socket.addEventListener("close", () => resolve());
  });
}

async function answer(session: Session, message: ToContestant): Promise<FromContestant> {
  try {
    if (message.kind === "prepare") return await session.prepare(message.contestant, message.job);
    return await (message.kind === "tune" ? session.tune(message.budgetMs) : session.steps(message.count));
  } catch (error) {
    return { kind: "failed", sentence: error instanceof Error ? error.message : String(error) };
  }
}

class Session {
  readonly #base: URL;
  #contestant: Contestant | undefined;
  #job: Job | undefined;
  #next = 0;

  constructor(base: URL) {
    this.#base = base;
  }

  async prepare(name: ContestantName, job: Job): Promise<FromContestant> {
    const { engine, backend } = CONTESTANTS[name];
    const [prepare, data] = await Promise.all([PREPARE[engine](), this.#data(job)]);
    this.#job = job;
    this.#contestant = await prepare(backend, job, data);
    const { device, compileMs } = this.#contestant;
    return { kind: "prepared", device, compileMs };
  }

  async steps(count: number): Promise<FromContestant> {
    const [contestant, job] = [this.#contestant, this.#job];
    if (!contestant || !job) throw new Error("invariant violation: steps were asked for before a model was prepared");
    const start = performance.now();
    for (let step = 0; step < count; step++) {
      const first = (this.#next % Math.floor(job.examples / job.batch)) * job.batch;
      this.#next++;
      const pending = contestant.step(first);
      if (pending) await pending;
    }
    const loss = await contestant.loss();
    return { kind: "done", ms: performance.now() - start, loss };
  }

  async tune(budgetMs: number): Promise<FromContestant> {
    const start = performance.now();
    const speedup = await this.#contestant?.tune?.(budgetMs);
    if (speedup === undefined) return { kind: "tuned", ms: null, speedup: null };
    return { kind: "tuned", ms: performance.now() - start, speedup };
  }

  async #data({ workload }: Job): Promise<JobData> {
    const part = async (name: string): Promise<ArrayBuffer> => {
      const response = await fetch(new URL(`/data/${workload}/${name}`, this.#base));
      if (!response.ok) throw new Error(`The conductor answered ${response.status} for ${name}.`);
      return response.arrayBuffer();
    };
    const [images, labels, parameters] = await Promise.all([part("images"), part("labels"), part("parameters")]);
    return {
      images: new Uint8Array(images),
      labels: new Uint8Array(labels),
      parameters: new Float32Array(parameters),
    };
  }
}
