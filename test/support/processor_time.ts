/** The processor time of a browser's processes, from /proc: whether anything is still computed, whoever says so (Linux only). */

import { readdirSync, readFileSync } from "node:fs";

/** Linux counts in hundredths of a second, on every machine that this runs on. */
const TICK_MS = 10;

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** Of the descendants of this process whose command line names this kind (`gpu-process`, `renderer`). */
export function processorMsOf(kind: string): number {
  const processes = everyProcess();
  const ours = new Set([process.pid]);
  // Parents may come after their children in the list.
  for (let before = 0; ours.size !== before;) {
    before = ours.size;
    for (const { pid, parent } of processes) if (ours.has(parent)) ours.add(pid);
  }
  return processes
    .filter(({ pid, command }) => ours.has(pid) && command.includes(`--type=${kind}`))
    .reduce((sum, { pid }) => sum + processorMs(pid), 0);
}

function everyProcess(): readonly Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const [fields] = statOf(Number(name));
      if (fields === undefined) return [];
      return [{ pid: Number(name), parent: Number(fields[1]), command: textOf(`/proc/${name}/cmdline`) }];
    });
}

function processorMs(pid: number): number {
  const [fields] = statOf(pid);
  return fields === undefined ? 0 : (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Everything after the name, which may hold anything. None where the process has ended. */
function statOf(pid: number): readonly (readonly string[])[] {
  const text = textOf(`/proc/${pid}/stat`);
  return text === "" ? [] : [text.slice(text.lastIndexOf(")") + 2).split(" ")];
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
