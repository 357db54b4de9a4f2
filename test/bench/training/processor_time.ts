/** Processor time of other processes, from Linux's /proc. */

import { readdirSync, readFileSync } from "node:fs";

/** `getconf CLK_TCK`, the same on every Linux architecture. */
const TICKS_PER_SECOND = 100;

interface ProcessTimes {
  readonly group: number;
  readonly ticks: number;
}

/** User and system time of a process group's living members, and of their children that ended; null where there is no /proc. */
export function groupProcessorMs(group: number): number | null {
  if (process.platform !== "linux") return null;
  const members = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (timesOf(name) ?? []) : []));
  const ticks = members.reduce((sum, member) => (member.group === group ? sum + member.ticks : sum), 0);
  return (ticks * 1000) / TICKS_PER_SECOND;
}

function timesOf(pid: string): ProcessTimes | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in brackets and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { group: Number(fields[2]), ticks };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}
