/**
 * What computes in a browser, from Linux's /proc: the threads of its Web Workers (WASM), and those of SwiftShader in its GPU
 * process (WebGPU in software), not those that draw the page. Busy is a thread while it computes and while it waits for a
 * core, so that a machine with other work too does not look like one that rests; in milliseconds, to the nanosecond.
 */

import { readdirSync, readFileSync } from "node:fs";

/** Beginnings of threads' names, of which the kernel keeps 15 characters. */
const WORKER_THREAD = "DedicatedWorker";
const SWIFTSHADER_THREAD = "Thread<";

export class DeviceMeter {
  readonly #gpu: readonly string[];
  readonly #renderers: readonly string[];

  /** Of the processes that `group` has now. */
  constructor(group: number) {
    const members = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && groupOf(name) === group);
    const ofType = (type: string): string[] => members.filter((pid) => argumentsOf(pid).includes(`--type=${type}`));
    this.#gpu = ofType("gpu-process");
    this.#renderers = ofType("renderer");
    if (this.#renderers.length === 0) throw new Error(`Process group ${group} has no page.`);
  }

  /** By thread: one that has ended is missing, and its time with it. */
  read(): ReadonlyMap<string, number> {
    const times = new Map<string, number>();
    for (const pid of this.#gpu) addThreads(times, pid, SWIFTSHADER_THREAD);
    for (const pid of this.#renderers) addThreads(times, pid, WORKER_THREAD);
    return times;
  }
}

/** How long threads were busy between two readings, by threads that are there at the second. */
export function busyMs(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const [path, ms] of after) sum += ms - (before.get(path) ?? 0);
  return sum;
}

function addThreads(times: Map<string, number>, pid: string, name: string): void {
  for (const task of tasksOf(pid)) {
    const path = `${pid}/task/${task}`;
    if (!textOf(`${path}/comm`).startsWith(name)) continue;
    const [computed, waited] = textOf(`${path}/schedstat`).split(" ");
    if (computed !== undefined && waited !== undefined) times.set(path, (Number(computed) + Number(waited)) / 1e6);
  }
}

function groupOf(pid: string): number {
  const stat = textOf(`${pid}/stat`);
  // The second field is the program's name in brackets and may hold anything.
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]);
}

function argumentsOf(pid: string): readonly string[] {
  return textOf(`${pid}/cmdline`).split(/[\0 ]/);
}

function tasksOf(pid: string): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Of what has ended meanwhile, nothing. */
function textOf(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return "";
  }
}
