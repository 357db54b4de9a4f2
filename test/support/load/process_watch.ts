/** Memory and processor time of another process, from Linux's /proc. */

import { readFileSync } from "node:fs";

const SAMPLE_MS = 250;
/** `getconf CLK_TCK`, the same on every Linux architecture. */
const TICKS_PER_SECOND = 100;

export class ProcessWatch {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  peakMB = 0;

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.residentMB, SAMPLE_MS);
  }

  /** Resident now; 0 where there is no /proc, or no such process any more. */
  get residentMB(): number {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(this.#read("status")) ?? [];
    const residentMB = Number(kilobytes ?? 0) / 1000;
    this.peakMB = Math.max(this.peakMB, residentMB);
    return residentMB;
  }

  /** User and system time of all its threads. */
  get cpuMs(): number {
    const stat = this.#read("stat");
    // The second field is the program's name in brackets and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return ((Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 1000) / TICKS_PER_SECOND;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #read(file: string): string {
    try {
      return readFileSync(`/proc/${this.#pid}/${file}`, "utf8");
    } catch {
      return "";
    }
  }
}
