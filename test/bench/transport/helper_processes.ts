/** Processor time of the processes that a process has started, from Linux's /proc: WebRTC runs in one of its own. 0 elsewhere. */

import { readFileSync } from "node:fs";

/** `getconf CLK_TCK`, the same on every Linux architecture. */
const TICKS_PER_SECOND = 100;

/** User and system time, in milliseconds, of the living descendants of `parent`; `others`, with theirs, are left out. */
export function helpersCpuMs(parent: number, others: ReadonlySet<number> = new Set()): number {
  const children = textOf(`/proc/${parent}/task/${parent}/children`).split(" ").filter(Boolean).map(Number);
  return children
    .filter((child) => !others.has(child))
    .reduce((sum, child) => sum + cpuMsOf(child) + helpersCpuMs(child, others), 0);
}

function cpuMsOf(pid: number): number {
  const stat = textOf(`/proc/${pid}/stat`);
  // The second field is the program's name in brackets and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 1000) / TICKS_PER_SECOND;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // No such process any more, or no /proc.
    return "";
  }
}
