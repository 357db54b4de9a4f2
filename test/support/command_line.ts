/** The command line in this process: its exit code and what it wrote, a hundred times sooner than in one of its own. */

import { vi } from "vitest";
import { runCommandLine } from "../../coordinator/cli/program.ts";
import type { Ended } from "./drove_command.ts";

/** One at a time: the streams are the process's own. */
export async function inProcess(...args: readonly string[]): Promise<Ended> {
  const written = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      written[name] += String(text);
      return true;
    }),
  );
  try {
    const exitCode = await runCommandLine(args);
    return { exitCode, ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
