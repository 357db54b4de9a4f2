/** What a benchmark's server does for its main program: says where it is, tells its usage, and ends with it. */

import { helpersCpuMs } from "./helper_processes.ts";
import type { Usage } from "./server_process.ts";

/** What the main program handed over, as whoever wrote it knows it. */
export function readTask(): unknown {
  return JSON.parse(process.argv[2] ?? "null");
}

export function serveParent(url: string, end: () => Promise<unknown>): void {
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    const cpuMs = (user + system) / 1000 + helpersCpuMs(process.pid);
    const usage: Usage = { cpuMs, residentBytes: process.memoryUsage.rss() };
    process.send?.(usage);
  });
  process.on("disconnect", () => {
    // A WebRTC stack keeps its process alive.
    void end().finally(() => process.exit(0));
  });
  process.send?.({ url });
}
