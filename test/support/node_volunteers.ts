/** Volunteers as a lab machine starts them: `drove join --node` in a process of its own, on WASM. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const DROVE = fileURLToPath(new URL("../../coordinator/cli/drove.ts", import.meta.url));

export interface NodeVolunteers {
  stop(): Promise<void>;
}

export function startNodeVolunteers(url: string, count: number): NodeVolunteers {
  const flags = ["join", url, "--volunteers", String(count), "--backend", "wasm", "--node"];
  const child = spawn(process.execPath, [DROVE, ...flags], { stdio: "ignore" });
  const ended = once(child, "close");
  return {
    stop: async () => {
      child.kill("SIGTERM");
      const lastResort = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(lastResort);
    },
  };
}
