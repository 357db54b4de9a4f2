/** The real command line in a process of its own, to its end. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const DROVE = fileURLToPath(new URL("../../coordinator/cli/drove.ts", import.meta.url));

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Started in `folder`. */
export async function runDrove(folder: string, args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [DROVE, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, exitCode] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    once(child, "close").then(([code]) => code as number | null),
  ]);
  return { stdout, stderr, exitCode };
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  for await (const part of stream.setEncoding("utf8")) text += String(part);
  return text;
}
