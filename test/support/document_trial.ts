/**
 * Follows a document in an empty folder of its own, below the checkout, so that `npx drove` is found as a reader's is. The
 * documents' port, 8080, becomes a free one, and coordinators stay on this machine; what goes on is ended by Ctrl+C, the last begun first.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Block } from "./document.ts";

const PLACE = fileURLToPath(new URL("../../build/documents", import.meta.url));
const END_TIMEOUT_MS = 180_000;
const WORDS_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 20_000;

interface Running {
  readonly child: ChildProcess;
  output: string;
}

export class DocumentTrial {
  readonly folder: string;
  readonly #port: number;
  readonly #running: Running[] = [];

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.#port = port;
  }

  static async begin(): Promise<DocumentTrial> {
    await mkdir(PLACE, { recursive: true });
    return new DocumentTrial(await mkdtemp(join(PLACE, "reader-")), await freePort());
  }

  /** Does what the block's instruction says; rejects with the block's line and the output where something else happens. */
  async follow({ instruction, text, line }: Block): Promise<void> {
    switch (instruction?.kind) {
      case "file": {
        const path = join(this.folder, instruction.name);
        await mkdir(dirname(path), { recursive: true });
        return writeFile(path, `${text}\n`);
      }
      case "try": {
        const { exitCode, output } = await this.#toItsEnd(text);
        if ((exitCode === 0) === instruction.fails) throw new Error(`line ${line} ended with ${exitCode}:\n${output}`);
        return;
      }
      case "try-until":
        return this.#until(text, instruction.words, line);
      case "not-tried":
      case undefined:
        return;
      default:
        instruction satisfies never;
    }
  }

  async end(): Promise<void> {
    for (const running of this.#running.toReversed()) await stop(running);
    await rm(this.folder, { recursive: true, force: true });
  }

  async #toItsEnd(text: string): Promise<{ exitCode: number | null; output: string }> {
    const running = this.#start(text);
    const timer = setTimeout(() => signal(running, "SIGKILL"), END_TIMEOUT_MS);
    const [exitCode] = (await once(running.child, "close")) as [number | null];
    clearTimeout(timer);
    return { exitCode, output: running.output };
  }

  async #until(text: string, words: string, line: number): Promise<void> {
    const running = this.#start(text);
    this.#running.push(running);
    const deadlineMs = performance.now() + WORDS_TIMEOUT_MS;
    while (!running.output.includes(words)) {
      if (running.child.exitCode !== null || performance.now() > deadlineMs) {
        throw new Error(`line ${line} never printed "${words}":\n${running.output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  #start(text: string): Running {
    const script = onPort(text, this.#port);
    // A group of its own, so that Ctrl+C reaches what the shell started.
    const child = spawn("bash", ["-e", "-c", script], {
      cwd: this.folder,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const running: Running = { child, output: "" };
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (part: string) => {
        running.output += part;
      });
    }
    return running;
  }
}

/** The commands of a block, at a port that is free. */
function onPort(text: string, port: number): string {
  return text
    .replaceAll("8080", String(port))
    .replaceAll(/^(npx drove (?:serve|train)\b[^#\n]*)/gm, "$1 --host 127.0.0.1")
    .replaceAll(/^(npx drove (?:serve|train)\b(?!.*--port)[^#\n]*)/gm, `$1 --port ${port}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("the system gave no port");
  return address.port;
}

async function stop(running: Running): Promise<void> {
  const { child } = running;
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "close");
  signal(running, "SIGINT");
  const timer = setTimeout(() => signal(running, "SIGKILL"), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

function signal({ child }: Running, name: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, name);
  } catch {
    // It has ended meanwhile.
  }
}
